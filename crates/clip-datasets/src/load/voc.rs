//! Pascal VOC 2007: for each class a list of images with 1, -1, or 0 where only difficult objects
//! show it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Ask, Content, below};
use crate::error::text;
use crate::item::Task;
use crate::source::{FileItem, Source};
use crate::{Error, Result, Truth};

pub(crate) const TREE: &str = "  JPEGImages/*.jpg, ImageSets/Main/CLASS_{test,trainval,train,val}.txt for the 20 classes (also below VOC2007/ or VOCdevkit/VOC2007/)";
const CLASSES: [&str; 20] = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
];

fn folder(root: &Path) -> PathBuf {
    below(root, &["VOCdevkit/VOC2007", "VOC2007"]).unwrap_or_else(|| root.to_path_buf())
}

pub(crate) fn detect(root: &Path) -> bool {
    let root = folder(root);
    root.join("ImageSets/Main").is_dir() && root.join("JPEGImages").is_dir()
}

pub(crate) fn open(root: &Path, ask: &Ask) -> Result<Content> {
    let root = folder(root);
    let part = ask.split.name();
    let mut marks: BTreeMap<String, Vec<i8>> = BTreeMap::new();
    for (class, name) in CLASSES.iter().enumerate() {
        let path = root.join(format!("ImageSets/Main/{name}_{part}.txt"));
        if !path.is_file() {
            return Err(Error::layout(&root, format!("no ImageSets/Main/{name}_{part}.txt"), TREE));
        }
        for (number, line) in text(&path)?.lines().enumerate() {
            let mut words = line.split_whitespace();
            let pair = words.next().zip(words.next().and_then(|word| word.parse::<i8>().ok()));
            let (image, mark) =
                pair.filter(|(_, mark)| (-1..=1).contains(mark)).ok_or_else(|| {
                    Error::file(&path, format!("line {}: not IMAGE and -1, 0 or 1", number + 1))
                })?;
            marks.entry(image.to_owned()).or_insert_with(|| vec![-1; 20])[class] = mark;
        }
    }
    let item = |(image, marks): (String, Vec<i8>)| {
        FileItem::new(root.join(format!("JPEGImages/{image}.jpg")), image, Truth::Marks(marks))
    };
    let source = Source::files(marks.into_iter().map(item).collect());
    let keys = CLASSES.map(str::to_owned).to_vec();
    Ok(Content { keys, ..Content::of(Task::MultiLabel, source) })
}

#[cfg(test)]
mod tests {
    use super::CLASSES;
    use crate::{Metric, OpenOptions, Truth, open_named};

    #[test]
    fn marks_take_the_order_of_the_prompts() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("VOCdevkit/VOC2007");
        std::fs::create_dir_all(root.join("ImageSets/Main")).unwrap();
        std::fs::create_dir_all(root.join("JPEGImages")).unwrap();
        std::fs::write(root.join("JPEGImages/000001.jpg"), b"x").unwrap();
        for name in CLASSES {
            let mark = match name {
                "dog" => " 1",
                "sofa" => " 0",
                _ => "-1",
            };
            std::fs::write(
                root.join(format!("ImageSets/Main/{name}_test.txt")),
                format!("000001 {mark}\n"),
            )
            .unwrap();
        }
        let set = open_named(&format!("voc2007={}", dir.path().display()), &OpenOptions::default())
            .unwrap();
        assert_eq!((set.metric(), set.classes.len()), (Metric::Map11Point, 20));
        let Truth::Marks(marks) = set.items().next().unwrap().unwrap().truth else { panic!() };
        let of = |name: &str| marks[set.classes.iter().position(|c| c == name).unwrap()];
        assert_eq!((of("dog"), of("sofa"), of("cat"), of("diningtable")), (1, 0, -1, -1));
    }
}
