//! What is embedded: WebDataset shards, folders of images with captions beside them, lines of text.

use std::path::{Path, PathBuf};

use clip_corpus::ShardReader;
use clip_format::ImageFormat;
use serde_json::Value;

use crate::{Error, Result};

/// One row to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// The key in its shard, or the path in its folder.
    pub key: String,
    /// The encoded image, if there is one.
    pub image: Option<Vec<u8>>,
    /// The caption, if there is one.
    pub caption: Option<String>,
    /// What img2dataset stored beside it.
    pub facts: Facts,
}

/// What is known of an image, of img2dataset's fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Where it came from.
    pub url: Option<String>,
    /// DataComp's id.
    pub uid: Option<String>,
    /// Its bytes' hash.
    pub sha256: Option<String>,
    /// Its caption, where no text field has it.
    caption: Option<String>,
    /// Those of all its copies, where a build merged some.
    captions: Vec<String>,
}

impl Item {
    /// The caption, then the others of its cluster.
    pub fn captions(&self) -> Vec<String> {
        let others =
            self.facts.captions.iter().filter(|other| Some(*other) != self.caption.as_ref());
        self.caption.iter().chain(others).cloned().collect()
    }

    /// The pair's identity: the one that is stored, or else that of its URL and caption.
    pub fn uid(&self) -> Option<String> {
        let (url, caption) = (self.facts.url.as_deref(), self.caption.as_deref());
        let made = url.zip(caption).map(|(url, caption)| clip_corpus::uid(url, caption));
        self.facts.uid.clone().or(made)
    }
}

impl Facts {
    /// Of a sample's JSON: what is no text there is absent.
    fn of(json: &Value) -> Self {
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let (url, uid, sha256) = (text("url"), text("uid"), text("sha256"));
        let list = json["captions"].as_array().into_iter().flatten();
        let captions = list.filter_map(|caption| caption.as_str().map(str::to_owned)).collect();
        Self { url, uid, sha256, caption: text("caption"), captions }
    }
}

/// What becomes one file of each kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A shard.
    Shard(PathBuf),
    /// Images of a folder.
    Images {
        /// The folder.
        root: PathBuf,
        /// Files in it.
        files: Vec<PathBuf>,
    },
    /// Lines of text.
    Lines {
        /// The file.
        path: PathBuf,
        /// The lines.
        lines: Vec<String>,
    },
}

/// All that is embedded, and what its items have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The parts in order.
    pub parts: Vec<Part>,
    /// Whether items have images.
    pub images: bool,
    /// Whether items have captions.
    pub texts: bool,
}

impl Input {
    /// Opens shards (files, folders, globs, braces), a folder of images, or a `.txt` file of one
    /// text a line; `rows` is how many images or lines a part has.
    pub fn open(spec: &str, rows: usize) -> Result<Self> {
        let path = Path::new(spec);
        if path.is_file() && path.extension().is_some_and(|e| e == "txt") {
            let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let part = |lines: &[String]| Part::Lines { path: path.into(), lines: lines.to_vec() };
            let parts = lines.chunks(rows.max(1)).map(part).collect();
            return Self { parts, images: false, texts: true }.checked(path);
        }
        if path.is_dir() {
            let mut files = clip_guard::files(path).map_err(|(path, e)| Error::io(&path, e))?;
            let is = |file: &Path, of: &[&str]| {
                let extension =
                    file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
                of.contains(&extension.as_str())
            };
            if !files.iter().any(|file| is(file, &["tar"])) {
                let texts = files.iter().any(|file| is(file, &["txt"]))
                    || files
                        .iter()
                        .any(|file| is(file, &["json"]) && facts_in(file).caption.is_some());
                files.retain(|file| ImageFormat::of_path(file).is_some());
                let part =
                    |files: &[PathBuf]| Part::Images { root: path.into(), files: files.to_vec() };
                let parts = files.chunks(rows.max(1)).map(part).collect();
                return Self { parts, images: true, texts }.checked(path);
            }
        }
        let parts = clip_corpus::expand(spec)?.into_iter().map(Part::Shard).collect();
        Self { parts, images: true, texts: true }.checked(path)
    }

    fn checked(self, path: &Path) -> Result<Self> {
        if self.parts.is_empty() {
            let hint = "hint: shards (.tar), a folder of images, or a .txt file with a text a line";
            return Err(Error::file(path, format!("nothing to embed\n{hint}")));
        }
        Ok(self)
    }
}

impl Part {
    /// Hash of what it is made from; lines are read already, and of files it is as
    /// [`clip_corpus::file_state`].
    pub(crate) fn state(&self) -> Result<String> {
        let files = match self {
            Self::Shard(path) => vec![path.clone()],
            Self::Images { files, .. } => {
                let of = |ending| files.iter().map(move |file| file.with_extension(ending));
                let beside: Vec<PathBuf> =
                    of("txt").chain(of("json")).filter(|file| file.is_file()).collect();
                files.iter().cloned().chain(beside).collect()
            }
            Self::Lines { lines, .. } => {
                return Ok(blake3::hash(lines.join("\n").as_bytes()).to_hex().to_string());
            }
        };
        Ok(clip_corpus::file_state(files.iter().map(PathBuf::as_path))?)
    }

    /// Its items, in order.
    pub fn items(&self) -> Result<Box<dyn Iterator<Item = Result<Item>> + '_>> {
        Ok(match self {
            Self::Shard(path) => {
                let samples = ShardReader::open(path)?;
                Box::new(samples.map(|sample| {
                    let sample = sample?;
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    // What is no JSON has no facts, and is no reason to lose the image.
                    let json = sample.get("json").map(clip_corpus::json::from_slice::<Value>);
                    let facts =
                        Facts::of(&json.and_then(std::result::Result::ok).unwrap_or_default());
                    let caption = sample.get("txt").map(text).or_else(|| facts.caption.clone());
                    let image = sample.image().map(|(_, bytes)| bytes.to_vec());
                    Ok(Item { key: sample.key, image, caption, facts })
                }))
            }
            Self::Images { root, files } => Box::new(files.iter().map(move |file| {
                let image = std::fs::read(file).map_err(|e| Error::io(file, e))?;
                let text = std::fs::read_to_string(file.with_extension("txt")).ok();
                let key = file.strip_prefix(root).unwrap_or(file).to_string_lossy().into_owned();
                let facts = beside(file);
                let text = text.map(|text| text.trim_end().to_owned());
                let caption = text.or_else(|| facts.caption.clone());
                Ok(Item { key, image: Some(image), caption, facts })
            })),
            Self::Lines { lines, .. } => Box::new(lines.iter().map(|line| {
                let caption = Some(line.clone());
                Ok(Item { key: String::new(), image: None, caption, facts: Facts::default() })
            })),
        })
    }
}

/// What the JSON beside an image says, as img2dataset's `files` format has it.
fn beside(image: &Path) -> Facts {
    facts_in(&image.with_extension("json"))
}

fn facts_in(json: &Path) -> Facts {
    let json = std::fs::read(json).ok();
    let json = json.and_then(|json| clip_corpus::json::from_slice::<Value>(&json).ok());
    json.map_or_else(Facts::default, |json| Facts::of(&json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_img2dataset_stored_beside_an_image_is_known() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("0.jpg"), b"image").unwrap();
        let json = r#"{"uid": "u", "url": "http://a/0.jpg", "sha256": "s", "caption": "a cat"}"#;
        std::fs::write(folder.path().join("0.json"), json).unwrap();
        let input = Input::open(&folder.path().display().to_string(), 10).unwrap();
        assert!(input.texts);
        let item = input.parts[0].items().unwrap().next().unwrap().unwrap();
        assert_eq!(item.caption.as_deref(), Some("a cat"));
        let facts = [&item.facts.uid, &item.facts.url, &item.facts.sha256];
        assert_eq!(facts.map(|fact| fact.as_deref().unwrap()), ["u", "http://a/0.jpg", "s"]);
    }

    #[test]
    fn folders_and_lines() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("cats")).unwrap();
        std::fs::write(at("cats/b.JPG"), b"image").unwrap();
        std::fs::write(at("cats/b.txt"), "a cat\n").unwrap();
        std::fs::write(at("a.png"), b"image").unwrap();
        std::fs::write(at("readme.md"), b"").unwrap();
        let input = Input::open(&folder.path().display().to_string(), 1).unwrap();
        assert!(input.images && input.texts && input.parts.len() == 2);
        let item = |part: &Part| part.items().unwrap().next().unwrap().unwrap();
        assert_eq!(item(&input.parts[0]).key, "a.png");
        let second = item(&input.parts[1]);
        assert_eq!((second.key.as_str(), second.caption.as_deref()), ("cats/b.JPG", Some("a cat")));
        std::fs::write(at("lines.txt"), "one\ntwo\nthree\n").unwrap();
        let input = Input::open(&at("lines.txt").display().to_string(), 2).unwrap();
        assert!(!input.images && input.parts.len() == 2);
        assert_eq!(item(&input.parts[1]).caption.as_deref(), Some("three"));
        std::fs::write(at("empty.txt"), "").unwrap();
        assert!(Input::open(&at("empty.txt").display().to_string(), 2).is_err());
    }

    #[test]
    fn links_in_circles_end() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("cats")).unwrap();
        std::fs::write(folder.path().join("cats/a.png"), b"image").unwrap();
        for (target, link) in [(".", "self"), ("..", "cats/up"), ("/", "cats/all")] {
            std::os::unix::fs::symlink(target, folder.path().join(link)).unwrap();
        }
        let input = Input::open(&folder.path().display().to_string(), 10).unwrap();
        let keys: Vec<String> = input.parts[0].items().unwrap().map(|i| i.unwrap().key).collect();
        assert_eq!(keys, ["cats/a.png"]);
    }

    #[test]
    fn json_as_python_writes_it_keeps_its_facts() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = clip_corpus::ShardWriter::create(&folder.path().join("0.tar")).unwrap();
        for (key, json) in [
            ("0", r#"{"url":"u","uid":"a","similarity":NaN,"caption":"\ud83d cat"}"#),
            ("1", r#"{"url":"u","uid":5}"#),
            ("2", "{broken"),
        ] {
            let fields = [("jpg", "image"), ("json", json)];
            let fields = fields.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
            let sample = clip_corpus::Sample { key: key.into(), fields: fields.to_vec() };
            writer.write(&sample).unwrap();
        }
        writer.finish().unwrap();
        let input = Input::open(&folder.path().display().to_string(), 1).unwrap();
        let items: Vec<Item> = input.parts[0].items().unwrap().map(|item| item.unwrap()).collect();
        assert_eq!(items[0].facts.uid.as_deref(), Some("a"));
        assert_eq!(items[0].caption.as_deref(), Some("\u{fffd} cat"));
        assert_eq!(
            (items[1].facts.url.as_deref(), items[1].facts.uid.as_deref()),
            (Some("u"), None)
        );
        assert_eq!((items[2].facts.clone(), items[2].image.is_some()), (Facts::default(), true));
    }
}
