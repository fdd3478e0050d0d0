//! MS-COCO captions and Visual Genome region descriptions.

use std::collections::HashMap;
use std::fmt;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clip_pipeline::Result;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::pair_reader::{Item, PairReader, Visit, bad, open, read_all};
use crate::rows::Pair;

/// `captions_*.json` of MS-COCO: one part for each file.
pub(crate) struct Coco {
    pub files: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct CocoFile {
    images: Vec<CocoImage>,
    annotations: Vec<CocoCaption>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: u64,
    coco_url: String,
}

#[derive(Deserialize)]
struct CocoCaption {
    image_id: u64,
    caption: String,
}

impl PairReader for Coco {
    fn units(&self) -> Result<usize> {
        Ok(self.files.len())
    }

    fn each(&self, unit: usize, visit: &mut Visit) -> Result<()> {
        let path = &self.files[unit];
        let file: CocoFile =
            clip_corpus::json::from_slice(&read_all(path)?).map_err(|e| bad(path, e))?;
        let urls: HashMap<u64, String> =
            file.images.into_iter().map(|image| (image.id, image.coco_url)).collect();
        for caption in file.annotations {
            let item = pair_of(urls.get(&caption.image_id), caption.image_id, &caption.caption);
            if !visit(item)? {
                break;
            }
        }
        Ok(())
    }
}

fn pair_of(url: Option<&String>, image: u64, caption: &str) -> Item {
    let caption = caption.trim().to_owned();
    if let Some(url) = url {
        Item::Pair(Pair { url: url.clone(), caption, page: None, source: "file" })
    } else {
        let detail = format!("image {image} is not in the list of images");
        Item::Rejected(String::new(), caption, "no_image", detail)
    }
}

/// `region_descriptions.json` of Visual Genome, with `image_data.json` for the URLs.
pub(crate) struct VisualGenome {
    pub regions: PathBuf,
    pub images: PathBuf,
}

#[derive(Deserialize)]
struct GenomeImage {
    #[serde(alias = "id")]
    image_id: u64,
    url: String,
}

#[derive(Deserialize)]
struct GenomeEntry {
    #[serde(alias = "image_id")]
    id: u64,
    regions: Vec<Region>,
}

#[derive(Deserialize)]
struct Region {
    phrase: String,
}

impl PairReader for VisualGenome {
    fn units(&self) -> Result<usize> {
        Ok(1)
    }

    fn each(&self, _: usize, visit: &mut Visit) -> Result<()> {
        let mut urls = HashMap::new();
        elements(&self.images, &mut |image: GenomeImage| {
            urls.insert(image.image_id, image.url);
            Ok(true)
        })?;
        elements(&self.regions, &mut |entry: GenomeEntry| {
            for region in entry.regions {
                if !visit(pair_of(urls.get(&entry.id), entry.id, &region.phrase))? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }
}

/// Calls `visit` with each element of a JSON array as it is read: the file may be larger than
/// memory.
fn elements<T: for<'de> Deserialize<'de>>(
    path: &Path,
    visit: &mut dyn FnMut(T) -> Result<bool>,
) -> Result<()> {
    struct Each<'a, T> {
        visit: &'a mut dyn FnMut(T) -> Result<bool>,
        fault: &'a mut Option<clip_pipeline::Error>,
        stopped: &'a mut bool,
    }
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Each<'_, T> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> std::result::Result<(), A::Error> {
            while let Some(element) = array.next_element()? {
                match (self.visit)(element) {
                    Ok(true) => {}
                    Ok(false) => {
                        *self.stopped = true;
                        return Err(serde::de::Error::custom("stopped"));
                    }
                    Err(e) => {
                        *self.fault = Some(e);
                        return Err(serde::de::Error::custom("stopped"));
                    }
                }
            }
            Ok(())
        }
    }
    let (mut fault, mut stopped) = (None, false);
    let source = BufReader::new(clip_corpus::json::reader(open(path)?));
    let mut json = serde_json::Deserializer::from_reader(source);
    let read = json.deserialize_seq(Each { visit, fault: &mut fault, stopped: &mut stopped });
    match (fault, read) {
        (Some(fault), _) => Err(fault),
        (None, Err(e)) if !stopped => Err(bad(path, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(feed: &dyn PairReader) -> Vec<(String, String)> {
        let mut items = Vec::new();
        feed.each(0, &mut |item| {
            items.push(match item {
                Item::Pair(pair) | Item::With(pair, _) => (pair.url, pair.caption),
                Item::Rejected(_, caption, reason, _) => (reason.to_owned(), caption),
                Item::Lost(detail) => ("damaged".to_owned(), detail),
            });
            Ok(items.len() < 3)
        })
        .unwrap();
        items
    }

    #[test]
    fn captions_find_their_images() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("captions.json");
        let json = r#"{"info":{},"images":[{"id":7,"file_name":"7.jpg","coco_url":"http://c/7.jpg"}],
            "annotations":[{"image_id":7,"id":1,"caption":"A dog. "},{"image_id":8,"id":2,"caption":"Lost"}]}"#;
        std::fs::write(&path, json).unwrap();
        let found = items(&Coco { files: vec![path] });
        assert_eq!(
            found,
            [("http://c/7.jpg".into(), "A dog.".into()), ("no_image".into(), "Lost".into())]
        );
    }

    #[test]
    fn regions_stream_and_stop_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let (regions, images) = (dir.path().join("r.json"), dir.path().join("i.json"));
        std::fs::write(&images, r#"[{"image_id":1,"url":"http://v/1.jpg","width":9}]"#).unwrap();
        let text = r#"[{"id":1,"regions":[{"phrase":"a red clock","x":1},{"phrase":"trees"}]},
            {"id":1,"regions":[{"phrase":"third"},{"phrase":"never asked for"}]}, broken"#;
        std::fs::write(&regions, text).unwrap();
        let genome = VisualGenome { regions, images };
        let found = items(&genome);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], ("http://v/1.jpg".into(), "a red clock".into()));
        let fault = genome.each(0, &mut |_| Ok(true)).unwrap_err().to_string();
        assert!(fault.contains("r.json"), "{fault}");
    }
}
