//! Images in folders with captions beside them, and WebDataset shards.

use std::path::{Path, PathBuf};

use clip_corpus::{Member, Sample, ShardReader};
use clip_format::ImageFormat;
use clip_pipeline::{Error, Result};
use serde_json::Value;

use crate::feed::{Feed, Item, Visit};
use crate::local::address;
use crate::rows::Pair;

/// A folder and what lies under it: one part for each folder with images.
pub(crate) struct Folder {
    folders: Vec<PathBuf>,
    json_key: String,
}

impl Folder {
    pub fn new(paths: &[PathBuf], base: &Path, json_key: &str) -> Result<Self> {
        let mut folders = Vec::new();
        for path in paths {
            walk(&base.join(path), &mut folders)?;
        }
        if folders.is_empty() {
            return Err(Error::Config("source.paths: no images in these folders".into()));
        }
        Ok(Self { folders, json_key: json_key.to_owned() })
    }
}

/// Folders with images, in the order of their names, a folder before what it holds.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let mut entries: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    if entries.iter().any(|path| is_image(path)) {
        found.push(folder.to_path_buf());
    }
    // A link to a folder may lead back here.
    let inner = entries.iter().filter(|path| path.is_dir() && !path.is_symlink());
    inner.into_iter().try_for_each(|folder| walk(folder, found))
}

fn is_image(path: &Path) -> bool {
    ImageFormat::of_path(path).is_some() && path.is_file()
}

impl Feed for Folder {
    fn units(&self) -> Result<usize> {
        Ok(self.folders.len())
    }

    fn local(&self) -> bool {
        true
    }

    fn each(&self, unit: usize, visit: &mut Visit) -> Result<()> {
        let folder = &self.folders[unit];
        let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
        let mut images: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        images.retain(|path| is_image(path));
        images.sort();
        for path in images {
            let Some(url) = address(&path, None) else { continue };
            let item = if let Some(caption) = caption_beside(&path, &self.json_key) {
                Item::Pair(Pair { url, caption, page: None, source: "file" })
            } else {
                let detail = "no .txt, .caption or .json beside the image".to_owned();
                Item::Fell(url, String::new(), "no_caption", detail)
            };
            if !visit(item)? {
                break;
            }
        }
        Ok(())
    }
}

fn caption_beside(image: &Path, json_key: &str) -> Option<String> {
    for extension in ["txt", "caption", "json"] {
        let Ok(bytes) = std::fs::read(image.with_extension(extension)) else { continue };
        let caption = if extension == "json" {
            caption_in(&bytes, json_key)
        } else {
            Some(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        if let Some(caption) = caption.filter(|caption| !caption.is_empty()) {
            return Some(caption);
        }
    }
    None
}

fn caption_in(json: &[u8], key: &str) -> Option<String> {
    let value: Value = clip_corpus::json::from_slice(json).ok()?;
    Some(value.get(key)?.as_str()?.trim().to_owned())
}

/// WebDataset shards: one part for each shard; those behind addresses are copied into the cache first, for images are
/// read out of them later.
pub(crate) struct Shards {
    pub files: Vec<PathBuf>,
    pub json_key: String,
}

impl Feed for Shards {
    fn units(&self) -> Result<usize> {
        Ok(self.files.len())
    }

    fn local(&self) -> bool {
        true
    }

    fn each(&self, unit: usize, visit: &mut Visit) -> Result<()> {
        let path = &clip_corpus::local(&self.files[unit])?;
        let mut shard = ShardReader::open(path)?;
        while let Some(sample) = shard.next() {
            let item = match sample {
                Ok(sample) => self.item(path, &sample, shard.members()),
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
                break;
            }
        }
        Ok(())
    }
}

impl Shards {
    /// What a sample gives.
    fn item(&self, path: &Path, sample: &Sample, members: &[Member]) -> Option<Item> {
        let Some((field, _)) = sample.image() else {
            let fields: Vec<&str> = sample.fields.iter().map(|(name, _)| &**name).collect();
            let detail = format!("sample {:?} has the fields {}", sample.key, fields.join(", "));
            return Some(Item::Fell(String::new(), String::new(), "no_image", detail));
        };
        let member = members.iter().find(|member| member.field == field)?;
        let url = address(path, Some((member.offset, member.size)))?;
        let text = ["txt", "caption"].iter().find_map(|name| sample.get(name));
        let text = text.map(|text| String::from_utf8_lossy(text).trim().to_owned());
        let json = || sample.get("json").and_then(|json| caption_in(json, &self.json_key));
        Some(if let Some(caption) = text.or_else(json) {
            Item::Pair(Pair { url, caption, page: None, source: "shard" })
        } else {
            let detail = format!("sample {:?} has no txt and no json caption", sample.key);
            Item::Fell(url, String::new(), "no_caption", detail)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_corpus::ShardWriter;

    fn items(feed: &dyn Feed) -> Vec<(String, String)> {
        let mut items = Vec::new();
        for unit in 0..feed.units().unwrap() {
            feed.each(unit, &mut |item| {
                items.push(match item {
                    Item::Pair(pair) => (pair.url, pair.caption),
                    Item::Fell(url, _, reason, _) => (url, reason.to_owned()),
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
        let folder = Folder::new(&[".".into()], dir.path(), "caption").unwrap();
        let items = items(&folder);
        let captions: Vec<_> = items.iter().map(|(_, caption)| caption.as_str()).collect();
        assert_eq!(captions, ["text b", "text a", "no_caption"]);
        assert_eq!(crate::local::read(&items[1].0, 99).unwrap(), b"image a");
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
        let items = items(&Shards { files: vec![path], json_key: "caption".into() });
        assert_eq!(items[1].1, "caption 001");
        assert_eq!(crate::local::read(&items[0].0, 99).unwrap(), b"first image");
        assert_eq!(crate::local::read(&items[1].0, 99).unwrap(), b"second");
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
            let found = items(&Shards { files: vec![path.clone()], json_key: "caption".into() });
            found.into_iter().map(|(_, caption)| caption).collect()
        };
        assert_eq!(captions(&whole), ["000", "001", "002", "003"]);
        // The header of the image of 001, four blocks a sample.
        let mut broken = whole.clone();
        broken[4 * 512 + 5] ^= 1;
        assert_eq!(captions(&broken), ["000", "damaged", "no_image", "002", "003"]);
        assert_eq!(captions(&whole[..12 * 512 + 300]), ["000", "001", "002", "damaged"]);
    }
}
