//! KITTI's nearest vehicle by VTAB's rule, and CLEVR's number of objects.

use std::path::{Path, PathBuf};

use super::{Ask, Content, below, file, is_image, name, no_split, numbers, sorted, stem};
use crate::error::{json, text};
use crate::item::Split;
use crate::source::{FileItem, Source};
use crate::{Error, Result, Truth};

pub(crate) const TREE: &str = "  image_2/*.png, label_2/*.txt below test/ (or the folder itself, or training/), optionally also below train/ and val/";
pub(crate) const CLEVR: &str =
    "  images/{train,val}/*.png, scenes/CLEVR_{train,val}_scenes.json (also below CLEVR_v1.0/)";
/// Ends of the distances, in metres: nearer than 8, than 20, farther, none (VTAB's thresholds).
const NEAR: f64 = 8.0;
const FAR: f64 = 20.0;
const NONE: f64 = 999.0;

fn folder(root: &Path, split: Split) -> Option<PathBuf> {
    let parts: &[&str] = match split {
        Split::Train => &["train"],
        Split::Val => &["val"],
        Split::Test => &["test", ".", "training", "Kitti/raw/training"],
    };
    parts
        .iter()
        .map(|part| root.join(part))
        .find(|f| f.join("label_2").is_dir() && f.join("image_2").is_dir())
}

pub(crate) fn detect(root: &Path) -> bool {
    folder(root, Split::Test).is_some()
}

pub(crate) fn open(root: &Path, ask: &Ask) -> Result<Content> {
    let folder = folder(root, ask.split).ok_or_else(|| no_split(root, ask.split, TREE))?;
    let mut items = Vec::new();
    for image in sorted(&folder.join("image_2"))?.into_iter().filter(|f| is_image(f)) {
        let labels = folder.join(format!("label_2/{}.txt", stem(&image)));
        let class =
            distance_class(&text(&labels)?).map_err(|reason| Error::file(&labels, reason))?;
        let key = name(&image);
        items.push(FileItem::new(image, key, Truth::Class(class)));
    }
    Ok(Content::classes(numbers(4), Source::files(items)))
}

/// The class of a label file: the depth of the nearest car, van or truck.
fn distance_class(labels: &str) -> std::result::Result<usize, String> {
    let mut nearest = 1000.0f64;
    for (number, line) in labels.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !words.first().is_some_and(|kind| ["Car", "Van", "Truck"].contains(kind)) {
            continue;
        }
        // type truncated occluded alpha, 4 of the box, 3 sizes, x y z, rotation
        let depth = words.get(13).and_then(|word| word.parse::<f64>().ok());
        nearest = nearest.min(depth.ok_or_else(|| format!("line {}: no depth", number + 1))?);
    }
    Ok([NEAR, FAR, NONE].iter().filter(|threshold| nearest > **threshold).count())
}

fn scenes(root: &Path, split: Split) -> Option<PathBuf> {
    // The test part has no scenes: VTAB takes val for it.
    let part = if split == Split::Train { "train" } else { "val" };
    file(
        root,
        &[
            &format!("scenes/CLEVR_{part}_scenes.json"),
            &format!("CLEVR_v1.0/scenes/CLEVR_{part}_scenes.json"),
        ],
    )
}

pub(crate) fn detect_clevr(root: &Path) -> bool {
    scenes(root, Split::Test).is_some()
}

pub(crate) fn clevr(root: &Path, ask: &Ask) -> Result<Content> {
    let missing = || no_split(root, ask.split, CLEVR);
    let list = scenes(root, ask.split).filter(|_| ask.split != Split::Val).ok_or_else(missing)?;
    let part = if ask.split == Split::Train { "train" } else { "val" };
    let images = below(root, &[&format!("images/{part}"), &format!("CLEVR_v1.0/images/{part}")])
        .ok_or_else(missing)?;
    let document = json(&list)?;
    let scenes = document["scenes"].as_array().ok_or_else(|| Error::file(&list, "no scenes"))?;
    let mut items = Vec::new();
    for scene in scenes {
        let image = scene["image_filename"]
            .as_str()
            .ok_or_else(|| Error::file(&list, "a scene without image_filename"))?;
        let count = scene["objects"].as_array().map_or(0, Vec::len);
        let class = count.checked_sub(3).filter(|class| *class < 8);
        let class = class
            .ok_or_else(|| Error::item(&list, image, format!("{count} objects, not 3 to 10")))?;
        items.push(FileItem::new(images.join(image), image.to_owned(), Truth::Class(class)));
    }
    Ok(Content::classes((3..=10).map(|n: u8| n.to_string()).collect(), Source::files(items)))
}

#[cfg(test)]
mod tests {
    use super::distance_class;
    use crate::{OpenOptions, open_named};

    #[test]
    fn the_nearest_vehicle_decides() {
        let line = |kind: &str, depth: f64| {
            format!("{kind} 0.00 0 -1.5 599 156 629 189 2.8 2.2 9.2 0.4 1.8 {depth} -1.5\n")
        };
        let class = |lines: &[String]| distance_class(&lines.concat()).unwrap();
        assert_eq!(class(&[line("Car", 30.0), line("Van", 7.9)]), 0);
        assert_eq!(class(&[line("Truck", 8.1), line("Pedestrian", 2.0)]), 1);
        assert_eq!(class(&[line("Car", 21.0)]), 2);
        assert_eq!(class(&[line("Cyclist", 3.0), line("DontCare", -1000.0)]), 3);
        assert_eq!(class(&[]), 3);
        assert!(distance_class("Car 0 0\n").is_err());
    }

    #[test]
    fn both_trees_are_read() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["image_2", "label_2", "images/val", "scenes"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        std::fs::write(dir.path().join("image_2/000003.png"), b"x").unwrap();
        std::fs::write(dir.path().join("label_2/000003.txt"), "").unwrap();
        let set = open_named(&format!("kitti={}", dir.path().display()), &OpenOptions::default())
            .unwrap();
        assert_eq!(set.prompts(3), ["a photo i took with no car."]);
        assert_eq!(set.items().next().unwrap().unwrap().truth.class(), Some(3));

        let objects = ["{}"; 10].join(",");
        std::fs::write(
            dir.path().join("scenes/CLEVR_val_scenes.json"),
            format!("{{\"scenes\":[{{\"image_filename\":\"c.png\",\"objects\":[{objects}]}}]}}"),
        )
        .unwrap();
        std::fs::write(dir.path().join("images/val/c.png"), b"x").unwrap();
        let set = open_named(&format!("clevr={}", dir.path().display()), &OpenOptions::default())
            .unwrap();
        let class = set.items().next().unwrap().unwrap().truth.class().unwrap();
        assert_eq!((class, set.classes[class].as_str()), (0, "10"));
    }
}
