//! Images in folders with captions beside them, and WebDataset shards.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use clip_corpus::{Member, Sample, ShardReader, Written};
use clip_format::ImageFormat;
use clip_pipeline::config::source::Corpus;
use clip_pipeline::{Error, Result};
use serde_json::Value;

use crate::known::Known;
use crate::local;
use crate::pair_reader::{Item, PairReader, Visit, bad_columns, files};
use crate::rows::Pair;

/// Samples that are looked at for the columns that are asked for.
const LOOKED_AT: usize = 100;

/// A folder and what is under it: one part for each folder with images.
pub(crate) struct Folder {
    root: PathBuf,
    folders: Vec<PathBuf>,
    json_key: String,
    known: Known,
}

impl Folder {
    pub fn new(corpus: &Corpus, base: &Path) -> Result<Self> {
        let mut folders = Vec::new();
        for path in &corpus.paths {
            let walked = clip_guard::walk(&base.join(path));
            let walked = walked.map_err(|(path, e)| Error::io(&path, e))?;
            let with_images = walked.into_iter().filter(|f| f.files.iter().any(|f| is_image(f)));
            folders.extend(with_images.map(|folder| folder.path));
        }
        if folders.is_empty() {
            return Err(Error::Config("source.paths: no images in these folders".into()));
        }
        let (root, known) = (local::folder(&corpus.paths, base), Known::new(&corpus.columns)?);
        let files = std::fs::read_dir(&folders[0]).into_iter().flatten().filter_map(|e| e.ok());
        let images = files.map(|entry| entry.path()).filter(|path| is_image(path));
        let json = images.map(|path| {
            let json = std::fs::read(path.with_extension("json")).ok()?;
            clip_corpus::json::from_slice(&json).ok()
        });
        check_columns(&corpus.columns, &folders[0], json)?;
        Ok(Self { root, folders, json_key: corpus.json_key.clone(), known })
    }
}

/// Refuses columns that no sample at the beginning has in its JSON: a name that is misspelt would
/// be a column of nothing.
fn check_columns(
    wanted: &[String],
    place: &Path,
    json: impl Iterator<Item = Option<Value>>,
) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let mut found = BTreeSet::new();
    for json in json.take(LOOKED_AT).flatten() {
        found.extend(json.as_object().into_iter().flat_map(|fields| fields.keys().cloned()));
    }
    let Some(name) = wanted.iter().find(|name| !found.contains(*name)) else { return Ok(()) };
    let first = LOOKED_AT;
    let found: Vec<String> = found.into_iter().collect();
    let hint = if found.is_empty() {
        "hint: columns come from the .json of samples, and they have none".to_owned()
    } else {
        format!("hint: their fields are {}", found.join(", "))
    };
    let place = place.display();
    Err(bad_columns(&format!("none of the first {first} samples of {place} has {name:?}\n{hint}")))
}

fn is_image(path: &Path) -> bool {
    ImageFormat::of_path(path).is_some() && path.is_file()
}

impl PairReader for Folder {
    fn units(&self) -> Result<usize> {
        Ok(self.folders.len())
    }

    fn columns(&self) -> Result<SchemaRef> {
        Ok(self.known.schema())
    }

    fn each(&self, unit: usize, visit: &mut Visit) -> Result<()> {
        let folder = &self.folders[unit];
        let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
        let mut images: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        images.retain(|path| is_image(path));
        images.sort();
        for path in images {
            let Some(name) = local::name(&self.root, &path) else { continue };
            let json = std::fs::read(path.with_extension("json")).ok();
            let json = json.and_then(|json| clip_corpus::json::from_slice(&json).ok());
            let json = json.unwrap_or(Value::Null);
            let text = ["txt", "caption"].iter().find_map(|extension| {
                let bytes = std::fs::read(path.with_extension(extension)).ok()?;
                Some(String::from_utf8_lossy(&bytes).trim().to_owned()).filter(|t| !t.is_empty())
            });
            let url = url(&json, || format!("file:{name}"));
            let item = if let Some(caption) = text.or_else(|| caption(&json, &self.json_key)) {
                let more = self.known.more(&name, &name, None, &json)?;
                Item::With(Pair { url, caption, page: None, source: "file" }, more)
            } else {
                let detail = "no .txt, .caption or .json beside the image".to_owned();
                Item::Rejected(url, String::new(), "no_caption", detail)
            };
            if !visit(item)? {
                break;
            }
        }
        Ok(())
    }
}

/// The caption in a sample's JSON.
fn caption(json: &Value, key: &str) -> Option<String> {
    let text = json.get(key)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The URL that a sample's JSON has, else one that names its place in the corpus.
fn url(json: &Value, place: impl FnOnce() -> String) -> String {
    let url = json.get("url").and_then(Value::as_str).map(str::trim);
    url.filter(|url| !url.is_empty()).map_or_else(place, str::to_owned)
}

/// WebDataset shards: one part for each shard; those behind URLs are copied into the cache first,
/// for images are read out of them later.
pub(crate) struct Shards {
    files: Vec<PathBuf>,
    names: Vec<String>,
    json_key: String,
    known: Known,
}

impl Shards {
    pub fn new(corpus: &Corpus, base: &Path) -> Result<Self> {
        let files = files(&corpus.paths, base, &[".tar"])?;
        let (names, known) = (local::names(&files)?, Known::new(&corpus.columns)?);
        if let Some(first) = files.first().filter(|_| !corpus.columns.is_empty()) {
            let samples = ShardReader::open(&clip_corpus::local(first)?)?;
            // What is damaged is the build's to count.
            let json = samples.map_while(std::result::Result::ok).map(|sample| {
                let json = sample.get("json")?;
                clip_corpus::json::from_slice(json).ok()
            });
            check_columns(&corpus.columns, first, json)?;
        }
        Ok(Self { files, names, json_key: corpus.json_key.clone(), known })
    }
}

impl PairReader for Shards {
    fn units(&self) -> Result<usize> {
        Ok(self.files.len())
    }

    fn columns(&self) -> Result<SchemaRef> {
        Ok(self.known.schema())
    }

    fn each(&self, unit: usize, visit: &mut Visit) -> Result<()> {
        let path = clip_corpus::local(&self.files[unit])?;
        let mut shard = ShardReader::open(&path)?;
        while let Some(sample) = shard.next() {
            let item = match sample {
                Ok(sample) => self.item(&self.names[unit], &sample, shard.members())?,
                Err(damage) if damage.is_damage() => {
                    shard.resume()?;
                    // The hint behind the first line is about our own files.
                    let damage = damage.to_string();
                    Some(Item::Lost(damage.lines().next().unwrap_or_default().to_owned()))
                }
                Err(error) => return Err(error.into()),
            };
            if let Some(item) = item
                && !visit(item)?
            {
                return Ok(());
            }
        }
        // Its samples are read, and which of them is damaged is not known.
        if let Err(damage) = Written::check(&path) {
            let damage = damage.to_string();
            visit(Item::Lost(damage.lines().next().unwrap_or_default().to_owned()))?;
        }
        Ok(())
    }
}

impl Shards {
    /// What a sample gives.
    fn item(&self, shard: &str, sample: &Sample, members: &[Member]) -> Result<Option<Item>> {
        let key = &sample.key;
        let json = sample.get("json").and_then(|json| clip_corpus::json::from_slice(json).ok());
        let json = json.unwrap_or(Value::Null);
        let url = url(&json, || format!("file:{shard}#{key}"));
        let Some((field, _)) = sample.image() else {
            let fields: Vec<&str> = sample.fields.iter().map(|(name, _)| &**name).collect();
            let detail = format!("sample {key:?} has the fields {}", fields.join(", "));
            return Ok(Some(Item::Rejected(url, String::new(), "no_image", detail)));
        };
        let Some(member) = members.iter().find(|member| member.field == field) else {
            return Ok(None);
        };
        let text = ["txt", "caption"].iter().find_map(|name| sample.get(name));
        let text = text.map(|text| String::from_utf8_lossy(text).trim().to_owned());
        let Some(caption) = text.or_else(|| caption(&json, &self.json_key)) else {
            let detail = format!("sample {key:?} has no txt and no json caption");
            return Ok(Some(Item::Rejected(url, String::new(), "no_caption", detail)));
        };
        let location = format!("{shard}#{},{}", member.offset, member.size);
        let more = self.known.more(&location, shard, Some(key), &json)?;
        Ok(Some(Item::With(Pair { url, caption, page: None, source: "shard" }, more)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Array;
    use clip_corpus::{ShardWriter, columns};

    use crate::local::Located;
    use crate::rows::More;
    use clip_pipeline::config::source::SourceConfig;

    fn corpus(path: &str) -> Corpus {
        Corpus { paths: vec![path.into()], json_key: "caption".into(), columns: Vec::new() }
    }

    fn items(feed: &dyn PairReader) -> Vec<(String, String)> {
        let mut items = Vec::new();
        for unit in 0..feed.units().unwrap() {
            feed.each(unit, &mut |item| {
                items.push(match item {
                    Item::Pair(pair) => (pair.url, pair.caption),
                    Item::With(pair, more) => {
                        let location = columns::text(&more.columns, columns::LOCATION).unwrap();
                        (location.value(more.row).to_owned(), pair.caption)
                    }
                    Item::Rejected(url, _, reason, _) => (url, reason.to_owned()),
                    Item::Lost(detail) => (detail, "damaged".to_owned()),
                });
                Ok(true)
            })
            .unwrap();
        }
        items
    }

    #[test]
    fn captions_lie_beside_the_images() {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("b.jpg", "image b"),
            ("b.txt", " text b \n"),
            ("sub/a.PNG", "image a"),
            ("sub/a.json", r#"{"caption":"text a"}"#),
            ("sub/c.webp", "image c"),
            ("sub/notes.txt", "no image"),
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let folder = Folder::new(&corpus("."), dir.path()).unwrap();
        let items = items(&folder);
        let captions: Vec<_> = items.iter().map(|(_, caption)| caption.as_str()).collect();
        assert_eq!(captions, ["text b", "text a", "no_caption"]);
        let located = Located::of(&SourceConfig::Folder(corpus(".")), dir.path()).unwrap();
        assert_eq!(located.read(&items[1].0, 99).unwrap(), b"image a");
    }

    #[test]
    fn samples_of_a_shard_are_addressed_by_their_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.tar");
        let mut writer = ShardWriter::create(&path).unwrap();
        for (key, image) in [("000", "first image"), ("001", "second")] {
            let fields = vec![
                ("jpg".into(), image.as_bytes().to_vec()),
                ("txt".into(), format!("caption {key}").into_bytes()),
            ];
            writer.write(&Sample { key: key.into(), fields }).unwrap();
        }
        let fields = vec![("img".into(), b"x".to_vec()), ("txt".into(), b"odd".to_vec())];
        writer.write(&Sample { key: "002".into(), fields }).unwrap();
        writer.finish().unwrap();
        let items = items(&Shards::new(&corpus("0.tar"), dir.path()).unwrap());
        assert_eq!(items[1].1, "caption 001");
        let located = Located::of(&SourceConfig::Webdataset(corpus("0.tar")), dir.path()).unwrap();
        assert_eq!(located.read(&items[0].0, 99).unwrap(), b"first image");
        assert_eq!(located.read(&items[1].0, 99).unwrap(), b"second");
        assert_eq!(items[2].1, "no_image", "a sample without an image field is a reject");
    }

    #[test]
    fn a_damaged_shard_loses_what_the_damage_covers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.tar");
        let mut writer = ShardWriter::create(&path).unwrap();
        for key in ["000", "001", "002", "003"] {
            let fields = [("jpg", "image"), ("txt", key)];
            let fields = fields.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
            writer.write(&Sample { key: key.into(), fields: fields.to_vec() }).unwrap();
        }
        writer.finish().unwrap();
        let whole = std::fs::read(&path).unwrap();
        let captions = |bytes: &[u8]| -> Vec<String> {
            std::fs::write(&path, bytes).unwrap();
            let found = items(&Shards::new(&corpus("0.tar"), dir.path()).unwrap());
            found.into_iter().map(|(_, caption)| caption).collect()
        };
        assert_eq!(captions(&whole), ["000", "001", "002", "003"]);
        // The header of the image of 001, four blocks a sample.
        let mut broken = whole.clone();
        broken[4 * 512 + 5] ^= 1;
        assert_eq!(captions(&broken), ["000", "damaged", "no_image", "002", "003"]);
        assert_eq!(captions(&whole[..12 * 512 + 300]), ["000", "001", "002", "damaged"]);
    }

    #[test]
    fn a_column_that_no_sample_has_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        foreign(dir.path());
        std::fs::write(dir.path().join("a.jpg"), b"x").unwrap();
        std::fs::write(dir.path().join("a.json"), br#"{"caption": "a boat", "licence": "CC0"}"#)
            .unwrap();
        let named = |path: &str, name: &str| Corpus { columns: vec![name.into()], ..corpus(path) };
        assert!(Shards::new(&named("0.tar", "licence"), dir.path()).is_ok());
        assert!(Folder::new(&named(".", "licence"), dir.path()).is_ok());
        let errors = [
            Shards::new(&named("0.tar", "license"), dir.path()).map(drop).unwrap_err(),
            Folder::new(&named(".", "license"), dir.path()).map(drop).unwrap_err(),
        ];
        for error in errors {
            let error = error.to_string();
            assert!(error.contains("source.columns: none of the first 100"), "{error}");
            assert!(error.contains("\nhint: their fields are caption"), "{error}");
        }
    }

    /// A shard as img2dataset writes it, and one that has images and texts alone.
    fn foreign(folder: &Path) {
        let mut writer = ShardWriter::create(&folder.join("0.tar")).unwrap();
        let json = |at: usize| {
            format!(
                r#"{{"url": "https://a.example/{at}.jpg", "key": "{at:09}", "caption": "json {at}", "status": "success",
                "sha256": "{:064x}", "original_width": 640, "original_height": 480, "exif": "{{}}",
                "similarity": 0.25, "licence": "CC0"}}"#,
                at + 1
            )
        };
        for at in 0..2 {
            let fields = vec![
                ("jpg".into(), format!("image {at}").into_bytes()),
                ("json".into(), json(at).into_bytes()),
                ("txt".into(), format!("text {at}").into_bytes()),
            ];
            writer.write(&Sample { key: format!("{at:09}"), fields }).unwrap();
        }
        let fields = vec![("jpg".into(), b"bare".to_vec()), ("txt".into(), b"bare text".to_vec())];
        writer.write(&Sample { key: "bare".into(), fields }).unwrap();
        writer.finish().unwrap();
    }

    fn with(feed: &Shards) -> Vec<(Pair, More)> {
        let mut found = Vec::new();
        let mut visit = |item| {
            match item {
                Item::With(pair, more) => found.push((pair, more)),
                _ => panic!("not a pair"),
            }
            Ok(true)
        };
        feed.each(0, &mut visit).unwrap();
        found
    }

    #[test]
    fn what_the_json_knows_of_a_sample_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        foreign(dir.path());
        let corpus =
            Corpus { columns: vec!["similarity".into(), "licence".into()], ..corpus("0.tar") };
        let found = with(&Shards::new(&corpus, dir.path()).unwrap());
        let cell = |more: &More, name: &str| {
            let cell = columns::text(&more.columns, name).unwrap();
            cell.is_valid(more.row).then(|| cell.value(more.row).to_owned())
        };
        let (pair, more) = &found[1];
        assert_eq!((&*pair.url, &*pair.caption), ("https://a.example/1.jpg", "text 1"));
        assert_eq!(more.uid, Some(clip_corpus::uid("0.tar", "000000001")));
        for (name, value) in [
            ("source_key", "000000001"),
            ("sha256", &format!("{:064x}", 2)),
            ("exif", "{}"),
            ("similarity", "0.25"),
            ("licence", "CC0"),
        ] {
            assert_eq!(cell(more, name).as_deref(), Some(value), "{name}");
        }
        let (pair, more) = &found[2];
        assert_eq!(pair.url, "file:0.tar#bare");
        assert_eq!(cell(more, "source_key").as_deref(), Some("bare"));
        assert_eq!((cell(more, "sha256"), cell(more, "licence")), (None, None));
    }

    #[test]
    fn a_corpus_that_was_moved_is_the_same() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = there.path().join("moved/shards");
        std::fs::create_dir_all(&folder).unwrap();
        foreign(here.path());
        foreign(&folder);
        let whole = |feed: Shards| -> Vec<_> {
            let rows = with(&feed).into_iter();
            rows.map(|(pair, more)| (pair.url, pair.caption, more.uid, more.columns)).collect()
        };
        let first = whole(Shards::new(&corpus("0.tar"), here.path()).unwrap());
        assert_eq!(first, whole(Shards::new(&corpus("moved/shards"), there.path()).unwrap()));
    }
}
