//! Captions: MS-COCO's annotation files, Karpathy's splits, and the lists made of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Ask, Content, below, file, listed, no_split};
use crate::error::json;
use crate::item::{Split, Task};
use crate::source::{FileItem, Source};
use crate::{Error, Result, Truth};

pub(crate) const TREE: &str = "  annotations/captions_val2014.json (or captions_val2017.json, captions_train…), val2014/*.jpg (images named by file_name)";
pub(crate) const KARPATHY: &str = "  dataset_coco.json or coco_karpathy_test.json (Karpathy's split), with the images next to it, or below val2014/, train2014/, images/\n    the authors' captions_val2014.json and captions_val2017.json have other parts: --layout coco";
const FOLDERS: [&str; 9] = [
    "",
    "images",
    "val2014",
    "train2014",
    "val2017",
    "train2017",
    "flickr30k-images",
    "flickr30k_images",
    "Images",
];
const LISTS: [&str; 3] =
    ["dataset_coco.json", "coco_karpathy_test.json", "coco_test_karpathy.json"];

pub(crate) fn detect(path: &Path) -> bool {
    annotations(path, Split::Test).or_else(|| annotations(path, Split::Train)).is_some()
}

fn annotations(path: &Path, split: Split) -> Option<PathBuf> {
    if path.is_file() {
        return path.extension().is_some_and(|e| e == "json").then(|| path.to_path_buf());
    }
    let part = if split == Split::Train { "train" } else { "val" };
    let names = ["2014", "2017", ""].map(|year| format!("captions_{part}{year}.json"));
    names.iter().find_map(|name| file(path, &[name, &format!("annotations/{name}")]))
}

pub(crate) fn open(path: &Path, ask: &Ask) -> Result<Content> {
    let list = annotations(path, ask.split).ok_or_else(|| no_split(path, ask.split, TREE))?;
    let document = json(&list)?;
    if document.get("images").is_none() || document.get("annotations").is_none() {
        return karpathy_list(&list, &document, KARPATHY, ask);
    }
    // The official test part has no captions, so val is scored; one file alone is one part.
    if ask.split == Split::Val || (path.is_file() && ask.split != Split::Test) {
        return Err(no_split(path, ask.split, TREE));
    }
    let bad = |what: &str| Error::file(&list, format!("no {what}"));
    let mut captions: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for annotation in document["annotations"].as_array().ok_or_else(|| bad("annotations"))? {
        let id = annotation["image_id"].as_u64().ok_or_else(|| bad("image_id in an annotation"))?;
        let caption =
            annotation["caption"].as_str().ok_or_else(|| bad("caption in an annotation"))?;
        captions.entry(id).or_default().push(caption.trim().to_owned());
    }
    let images = document["images"].as_array().ok_or_else(|| bad("images"))?;
    let root = list.parent().unwrap_or(Path::new(""));
    let root = if root.ends_with("annotations") { root.parent().unwrap_or(root) } else { root };
    let mut items = Vec::new();
    for image in images {
        let name = image["file_name"].as_str().ok_or_else(|| bad("file_name in an image"))?;
        let id = image["id"].as_u64().ok_or_else(|| bad("id in an image"))?;
        if let Some(captions) = captions.remove(&id) {
            items.push(item(root, &[], name, captions)?);
        }
    }
    finish(&list, items)
}

pub(crate) fn detect_karpathy(path: &Path) -> bool {
    listed(path, &LISTS).is_some()
}

pub(crate) fn open_karpathy(path: &Path, ask: &Ask) -> Result<Content> {
    let list = if path.is_file() { Some(path.to_path_buf()) } else { file(path, &LISTS) };
    let list = list.ok_or_else(|| Error::layout(path, "no list of Karpathy's", KARPATHY))?;
    karpathy_list(&list, &json(&list)?, KARPATHY, ask)
}

/// `{"images": [{"filename", "split", "sentences": [{"raw"}]}]}`, or `[{"image", "caption": […]}]`.
pub(super) fn karpathy_list(
    list: &Path,
    document: &Value,
    tree: &str,
    ask: &Ask,
) -> Result<Content> {
    let root = list.parent().unwrap_or(Path::new(""));
    let images = document.get("images").unwrap_or(document);
    let images = images.as_array().ok_or_else(|| Error::layout(list, "no list of images", tree))?;
    let mut items = Vec::new();
    for image in images {
        let split = image["split"].as_str().unwrap_or("test");
        let part = match ask.split {
            Split::Train => split == "train" || split == "restval",
            Split::Val => split == "val",
            Split::Test => split == "test",
        };
        if !part {
            continue;
        }
        let name = image["filename"].as_str().or(image["image"].as_str());
        let name = name.ok_or_else(|| Error::layout(list, "an image without filename", tree))?;
        let sentences = image.get("sentences").or(image.get("caption")).and_then(Value::as_array);
        let sentences = sentences.ok_or_else(|| Error::item(list, name, "no captions"))?;
        let raw = |s: &Value| s["raw"].as_str().or(s.as_str()).map(|s| s.trim().to_owned());
        let captions = sentences.iter().filter_map(raw).collect();
        let folder = image["filepath"].as_str().unwrap_or_default();
        items.push(item(root, &[folder], name, captions)?);
    }
    if items.is_empty() {
        return Err(no_split(list, ask.split, tree));
    }
    finish(list, items)
}

pub(super) fn item(
    root: &Path,
    folders: &[&str],
    name: &str,
    captions: Vec<String>,
) -> Result<FileItem> {
    let candidates = folders.iter().copied().chain(FOLDERS);
    let path = candidates.map(|folder| root.join(folder).join(name)).find(|path| path.is_file());
    let path = path.ok_or_else(|| {
        let beside = below(root, &FOLDERS[1..]).unwrap_or_else(|| root.to_path_buf());
        Error::item(&beside, name, "the image is not there")
    })?;
    Ok(FileItem::new(path, name.to_owned(), Truth::Captions(captions)))
}

pub(super) fn finish(list: &Path, items: Vec<FileItem>) -> Result<Content> {
    let empty =
        |item: &&FileItem| matches!(&item.truth, Truth::Captions(captions) if captions.is_empty());
    if let Some(bad) = items.iter().find(empty) {
        return Err(Error::item(list, &bad.key, "no captions"));
    }
    Ok(Content::of(Task::Retrieval, Source::files(items)))
}

#[cfg(test)]
mod tests {
    use crate::{OpenOptions, Split, Truth, open, open_with};

    fn captions(path: &std::path::Path) -> Vec<(String, Vec<String>)> {
        let set = open(path).unwrap();
        let of = |item: crate::EvalItem| match item.truth {
            Truth::Captions(captions) => (item.key, captions),
            other => panic!("{other:?}"),
        };
        set.items().map(|item| of(item.unwrap())).collect()
    }

    #[test]
    fn cocos_annotations_and_karpathys_splits() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for folder in ["annotations", "val2014"] {
            std::fs::create_dir(root.join(folder)).unwrap();
        }
        for name in ["a.jpg", "b.jpg"] {
            std::fs::write(root.join("val2014").join(name), name).unwrap();
        }
        let document = r#"{"images":[{"id":7,"file_name":"b.jpg"},{"id":9,"file_name":"a.jpg"},{"id":8,"file_name":"gone.jpg"}],
            "annotations":[{"image_id":9,"caption":"one\n"},{"image_id":7,"caption":"two"},{"image_id":9,"caption":"three"}]}"#;
        std::fs::write(root.join("annotations/captions_val2014.json"), document).unwrap();
        assert_eq!(
            captions(root),
            [
                ("b.jpg".into(), vec!["two".into()]),
                ("a.jpg".into(), vec!["one".into(), "three".into()])
            ]
        );

        let document = r#"{"images":[{"filepath":"val2014","filename":"a.jpg","split":"test","sentences":[{"raw":"x"},{"raw":"y"}]},
            {"filename":"b.jpg","split":"restval","sentences":[{"raw":"z"}]}]}"#;
        std::fs::write(root.join("dataset_coco.json"), document).unwrap();
        assert_eq!(captions(root), [("a.jpg".into(), vec!["x".into(), "y".into()])]);
        let train = OpenOptions { split: Split::Train, ..OpenOptions::default() };
        assert_eq!(open_with(root, &train).unwrap().len(), Some(1));
    }

    #[test]
    fn captions_of_the_authors_are_not_karpathys_split() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("captions_val2017.json"), "{}").unwrap();
        let spec = format!("mscoco={}", dir.path().display());
        let message = crate::open_named(&spec, &OpenOptions::default()).map(|_| ()).unwrap_err();
        assert!(message.to_string().contains("--layout coco"), "{message}");
    }
}
