//! One folder of images for each class (torchvision's `ImageFolder`), and ObjectNet.

use std::path::{Path, PathBuf};

use super::prompts::own_prompts;
use super::{Ask, Content, below, is_image, name, no_split, sorted};
use crate::error::json;
use crate::item::Split;
use crate::registry::Prompts;
use crate::source::{FileItem, Source};
use crate::{Error, Result, Truth};

pub(crate) const TREE: &str =
    "  CLASS/IMAGE.{jpg,png,webp,…}, also below train/, val/ or test/; optionally classnames.txt";
pub(crate) const OBJECTNET: &str = "  objectnet-1.0/images/FOLDER/*.png (or images/), folder_to_objectnet_label.json, objectnet_to_imagenet_1k.json (also below mappings/)";

/// The folder of a part. Sets whose test part is not published (ImageNet) are scored on their
/// validation part, which is then no validation part any more: a probe that chose and fitted on it
/// would be scored on what it saw.
pub(crate) fn part(root: &Path, split: Split) -> Option<PathBuf> {
    // A test folder of images without classes (ImageNet's) has no labels.
    let classes =
        |path: &PathBuf| sorted(path).is_ok_and(|entries| entries.iter().any(|e| e.is_dir()));
    let test = below(root, &["test"]).filter(classes);
    let val = below(root, &["val", "valid", "validation"]);
    match split {
        Split::Test => test.or(val),
        Split::Val => test.and(val),
        Split::Train => below(root, &["train"]),
    }
}

/// How many levels a path may be too high.
const LEVELS: usize = 2;

/// The folder with the classes or the parts: where all that a folder has is one folder without an
/// image of its own, that is no class, and the path is a level too high.
fn lowest(root: &Path) -> Result<PathBuf> {
    let mut root = root.to_path_buf();
    for _ in 0..LEVELS {
        let entries = if root.is_dir() { sorted(&root)? } else { Vec::new() };
        let folders: Vec<&PathBuf> = entries.iter().filter(|entry| entry.is_dir()).collect();
        let [only] = folders.as_slice() else { break };
        let own = own_prompts(&root)?.is_some() || part(&root, Split::Train).is_some();
        if own || part(&root, Split::Test).is_some() || sorted(only)?.iter().any(|e| is_image(e)) {
            break;
        }
        root.clone_from(only);
    }
    Ok(root)
}

pub(crate) fn open(root: &Path, ask: &Ask) -> Result<Content> {
    let root = &*lowest(root)?;
    let inner = ["2750", "101_ObjectCategories", "images"];
    let folder = match part(root, ask.split) {
        Some(part) => part,
        // A tree without parts is all test.
        None if ask.split == Split::Test && below(root, &["train"]).is_none() => {
            let deeper = below(root, &inner)
                .filter(|d| sorted(d).is_ok_and(|e| e.iter().any(|e| e.is_dir())));
            deeper.unwrap_or_else(|| root.to_path_buf())
        }
        None => return Err(no_split(root, ask.split, TREE)),
    };
    let mut items = Vec::new();
    let (mut keys, mut empty) = (Vec::new(), Vec::new());
    let entries = if folder.is_dir() { sorted(&folder)? } else { Vec::new() };
    let (classes, beside): (Vec<PathBuf>, Vec<PathBuf>) =
        entries.into_iter().partition(|entry| entry.is_dir());
    for class in classes {
        let images = images(&class)?;
        let key = name(&class);
        if images.is_empty() {
            empty.push(key);
        } else {
            let at = keys.len();
            items.extend(images.into_iter().map(|image| {
                let relative = image.strip_prefix(&class).unwrap_or(&image).to_string_lossy();
                let item = format!("{key}/{relative}");
                FileItem::new(image, item, Truth::Class(at))
            }));
            keys.push(key);
        }
    }
    if items.is_empty() {
        let flat = folder.is_dir() && !images(&folder)?.is_empty();
        let reason = if flat { "images, but no folder a class" } else { "no evaluation set" };
        return Err(Error::layout(root, reason, TREE));
    }
    // Its lines are classes; which folder is of which, the set finds by name, by number or by
    // position.
    let own = own_prompts(root)?;
    let loose: Vec<String> =
        beside.iter().filter(|path| is_image(path)).map(|path| name(path)).collect();
    let left_out =
        [(loose, "beside the class folders", "image"), (empty, "without an image", "folder")];
    let left_out = left_out.into_iter().filter(|(names, ..)| !names.is_empty());
    let left_out = left_out.map(|(names, what, one)| few(&names, one, what)).collect();
    Ok(Content { own, left_out, ..Content::classes(keys, Source::files(items)) })
}

/// How many there are, and the first of their names.
fn few(names: &[String], one: &str, what: &str) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    let more = if names.len() > 5 { ", …" } else { "" };
    let first = &names[..names.len().min(5)];
    format!("{} {one}{plural} {what}: {}{more}", names.len(), first.join(", "))
}

/// The images of a folder and of those in it.
fn images(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    for entry in sorted(folder)? {
        if entry.is_dir() {
            images.extend(self::images(&entry)?);
        } else if is_image(&entry) {
            images.push(entry);
        }
    }
    Ok(images)
}

fn mapping(root: &Path, name: &str) -> Option<PathBuf> {
    super::file(
        root,
        &[name, &format!("mappings/{name}"), &format!("objectnet-1.0/mappings/{name}")],
    )
}

pub(crate) fn detect_objectnet(root: &Path) -> bool {
    mapping(root, "folder_to_objectnet_label.json").is_some()
}

/// The 113 classes that ImageNet has too, in the order of their folders, by their ObjectNet names.
pub(crate) fn objectnet(root: &Path, ask: &Ask) -> Result<Content> {
    if ask.split != Split::Test {
        return Err(no_split(root, ask.split, OBJECTNET));
    }
    let find = |name: &str| {
        mapping(root, name).ok_or_else(|| Error::layout(root, format!("no {name}"), OBJECTNET))
    };
    let labels_file = find("folder_to_objectnet_label.json")?;
    let labels = json(&labels_file)?;
    let shared = json(&find("objectnet_to_imagenet_1k.json")?)?;
    let images_dir = below(root, &["objectnet-1.0/images", "images"])
        .ok_or_else(|| Error::layout(root, "no images", OBJECTNET))?;
    let labels = labels.as_object().ok_or_else(|| Error::file(&labels_file, "not an object"))?;
    let mut folders: Vec<(&String, &str)> = labels
        .iter()
        .filter_map(|(folder, label)| Some((folder, label.as_str()?)))
        .filter(|(_, label)| shared.get(label).is_some())
        .collect();
    folders.sort();
    let mut items = Vec::new();
    for (at, (folder, _)) in folders.iter().enumerate() {
        let dir = images_dir.join(folder);
        if !dir.is_dir() {
            continue;
        }
        for image in images(&dir)? {
            let key = format!("{folder}/{}", name(&image));
            items.push(FileItem::new(image, key, Truth::Class(at)));
        }
    }
    let keys: Vec<String> = folders.iter().map(|(_, label)| label.to_lowercase()).collect();
    let names = keys.iter().map(|key| vec![key.clone()]).collect();
    let templates =
        crate::prompts("imagenet", crate::Protocol::OpenAi).unwrap_or_default().templates;
    let own = Some(Prompts { names, templates, own: None });
    Ok(Content { own, ..Content::classes(keys, Source::files(items)) })
}

#[cfg(test)]
mod tests {
    use crate::test_files::write;
    use crate::{OpenOptions, Protocol, Split, Truth, open, open_named, open_with};

    #[test]
    fn a_path_that_is_too_high_is_not_a_set_of_one_class() {
        let dir = tempfile::tempdir().unwrap();
        let images = ["wrap/toys/ant/1.png", "wrap/toys/bear/2.png", "wp/probe/test/ant/1.png"];
        write(dir.path(), &images);
        write(dir.path(), &["wp/probe/train/bear/1.png", "one/ant/1.png"]);
        let classes = |name: &str| open(&dir.path().join(name)).unwrap().classes;
        assert_eq!(classes("wrap"), ["ant", "bear"]);
        assert_eq!(classes("wrap/toys"), ["ant", "bear"]);
        assert_eq!(classes("wp"), ["ant"], "the test part alone");
        assert_eq!(classes("one"), ["ant"], "a class that has images is one");
    }

    #[test]
    fn classes_are_folders_in_order() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                "test/polar_bear/2.png",
                "test/polar_bear/1.png",
                "test/ant/1.JPG",
                "test/ant/notes.txt",
            ],
        );
        let set = open(dir.path()).unwrap();
        assert_eq!(set.classes, ["ant", "polar bear"]);
        let items: Vec<_> = set.items().map(|item| item.unwrap()).collect();
        assert_eq!(items.len(), 3);
        assert_eq!(
            (items[1].key.as_str(), &items[1].truth),
            ("polar_bear/1.png", &Truth::Class(1))
        );
        assert_eq!(set.prompts(0), ["a photo of a ant."]);
    }

    #[test]
    fn what_is_in_no_item_is_named() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &["ant/1.png", "bee/2.png"]);
        let left_out = || open_with(dir.path(), &OpenOptions::default()).unwrap().left_out;
        assert_eq!(left_out(), [""; 0]);
        write(dir.path(), &["3.png", "4.jpg", "notes.md"]);
        std::fs::create_dir(dir.path().join("cat")).unwrap();
        let expected =
            ["2 images beside the class folders: 3.png, 4.jpg", "1 folder without an image: cat"];
        assert_eq!(left_out(), expected);
    }

    #[test]
    fn a_validation_part_that_is_scored_is_not_chosen_on() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &["train/ant/1.png", "val/ant/2.png", "train/bee/3.png", "val/bee/4.png"],
        );
        let keys = |split: Split| -> Result<Vec<String>, String> {
            let options = OpenOptions { split, ..OpenOptions::default() };
            let set = open_with(dir.path(), &options).map_err(|e| e.to_string())?;
            Ok(set.items().map(|item| item.unwrap().key).collect())
        };
        assert_eq!(keys(Split::Test).unwrap(), ["ant/2.png", "bee/4.png"]);
        let message = keys(Split::Val).unwrap_err();
        assert!(message.contains("no val part"), "{message}");
        // ImageNet's test folder has images, but no classes.
        write(dir.path(), &["test/5.png"]);
        assert_eq!(keys(Split::Test).unwrap(), ["ant/2.png", "bee/4.png"]);
        assert!(keys(Split::Val).is_err());
        write(dir.path(), &["test/ant/6.png"]);
        assert_eq!(keys(Split::Test).unwrap(), ["ant/6.png"]);
        assert_eq!(keys(Split::Val).unwrap(), ["ant/2.png", "bee/4.png"]);
        assert_eq!(keys(Split::Train).unwrap(), ["ant/1.png", "bee/3.png"]);
    }

    #[test]
    fn an_unknown_folder_shows_the_layouts() {
        let dir = tempfile::tempdir().unwrap();
        let message = open(dir.path()).map(|_| ()).unwrap_err().to_string();
        assert!(
            message.contains("hint: the expected tree is\n  test/nshards.txt")
                && message.contains("nshards.txt"),
            "{message}"
        );
        std::fs::write(dir.path().join("a.png"), b"1").unwrap();
        let message = open(dir.path()).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(": images, but no folder a class\nhint: the exp"), "{message}");
        for (path, hint) in [
            ("wds/cifar10", "name the folder of CIFAR-10, as in --dataset cifar10=PATH"),
            ("nowhere", "check the path"),
        ] {
            let message = open(std::path::Path::new(path)).map(|_| ()).unwrap_err().to_string();
            assert!(message.contains(hint) && !message.contains("nshards"), "{message}");
        }
        let message =
            open_named(&format!("pcam={}/none", dir.path().display()), &OpenOptions::default())
                .map(|_| ())
                .unwrap_err()
                .to_string();
        assert!(message.contains("camelyonpatch"), "{message}");
    }

    #[test]
    fn eurosats_folders_take_the_order_of_the_protocol() {
        let dir = tempfile::tempdir().unwrap();
        let folders = [
            "AnnualCrop",
            "Forest",
            "HerbaceousVegetation",
            "Highway",
            "Industrial",
            "Pasture",
            "PermanentCrop",
            "Residential",
            "River",
            "SeaLake",
        ];
        let names: Vec<String> = folders.iter().map(|f| format!("2750/{f}/{f}_1.jpg")).collect();
        write(dir.path(), &names.iter().map(String::as_str).collect::<Vec<_>>());
        let first = |protocol| {
            let options = OpenOptions { protocol: Some(protocol), ..OpenOptions::default() };
            let set = open_named(&format!("eurosat={}", dir.path().display()), &options).unwrap();
            let item = set.items().next().unwrap().unwrap();
            set.classes[item.truth.class().unwrap()].clone()
        };
        assert_eq!(first(Protocol::OpenAi), "annual crop land");
        assert_eq!(first(Protocol::ClipBenchmark), "annual crop land");
        let set = open_named(&format!("eurosat={}", dir.path().display()), &OpenOptions::default())
            .unwrap();
        assert_eq!(set.items().next().unwrap().unwrap().truth, Truth::Class(7));
    }

    #[test]
    fn imagenets_folders_are_wordnet_ids() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &["val/n01443537/a.JPEG", "val/n15075141/b.JPEG"]);
        let named = |name: &str| {
            open_named(&format!("{name}={}", dir.path().display()), &OpenOptions::default())
        };
        let set = named("imagenet").unwrap();
        let classes: Vec<_> = set.items().map(|i| i.unwrap().truth.class().unwrap()).collect();
        assert_eq!((classes, set.classes.len()), (vec![1, 999], 1000));
        assert_eq!(set.classes[1], "goldfish");
        assert!(named("imagenet-a").is_err(), "goldfish is not in ImageNet-A");
    }

    #[test]
    fn objectnet_keeps_the_classes_that_imagenet_has() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &["images/alarm/1.png", "images/bath/2.png", "images/other/3.png"]);
        std::fs::write(
            dir.path().join("folder_to_objectnet_label.json"),
            r#"{"alarm":"Alarm clock","bath":"Bath towel","other":"Air freshener"}"#,
        )
        .unwrap();
        std::fs::write(
            dir.path().join("objectnet_to_imagenet_1k.json"),
            r#"{"Bath towel":"bath towel","Alarm clock":"digital clock; analog clock"}"#,
        )
        .unwrap();
        let set = open(dir.path()).unwrap();
        assert_eq!(
            (set.loader, &set.classes[..]),
            ("objectnet", &["alarm clock".to_owned(), "bath towel".to_owned()][..])
        );
        assert_eq!((set.items().count(), set.prompts(0).len()), (2, 80));
    }
}
