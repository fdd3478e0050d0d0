//! Sets whose parts are lists of images: Food-101, DTD, SUN397, Birdsnap, FGVC Aircraft, Oxford
//! Pets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Ask, Content, file, no_split};
use crate::error::{lines, text};
use crate::item::Split;
use crate::{Error, Result};

pub(crate) const AIRCRAFT: &str = "  data/images/*.jpg, data/variants.txt, data/images_variant_{train,val,trainval,test}.txt (also without data/)";
const BREEDS: usize = 37;
pub(crate) const PETS: &str = "  images/*.jpg, annotations/{trainval,test}.txt";

/// How a dataset lists its parts, where its images are, and what its lines lack.
pub(crate) struct Lists {
    pub tree: &'static str,
    train: &'static [&'static str],
    val: &'static [&'static str],
    test: &'static [&'static str],
    images: &'static [&'static str],
    suffix: &'static str,
    classes: &'static [&'static str],
}

pub(crate) const FOOD: Lists = Lists {
    tree: "  images/CLASS/ID.jpg, meta/{train,test}.txt, meta/classes.txt (Food-101)",
    train: &["meta/train.txt"],
    val: &[],
    test: &["meta/test.txt"],
    images: &["images"],
    suffix: ".jpg",
    classes: &["meta/classes.txt"],
};
pub(crate) const DTD: Lists = Lists {
    tree: "  images/CLASS/*.jpg, labels/{train,val,test}1.txt (DTD)",
    train: &["labels/train1.txt"],
    val: &["labels/val1.txt"],
    test: &["labels/test1.txt"],
    images: &["images"],
    suffix: "",
    classes: &[],
};
pub(crate) const SUN: Lists = Lists {
    tree: "  a/abbey/*.jpg …, ClassName.txt, Training_01.txt, Testing_01.txt (SUN397; the lists are in its Partitions.zip; also with images below SUN397/)",
    train: &["Training_01.txt", "Partitions/Training_01.txt"],
    val: &[],
    test: &["Testing_01.txt", "Partitions/Testing_01.txt"],
    images: &["SUN397", "."],
    suffix: "",
    classes: &["ClassName.txt", "SUN397/ClassName.txt"],
};
pub(crate) const BIRDSNAP: Lists = Lists {
    tree: "  images/CLASS/*.jpg (or download/images/), test_images.txt, train_images.txt (Birdsnap)",
    train: &["train_images.txt"],
    val: &[],
    test: &["test_images.txt"],
    images: &["download/images", "images"],
    suffix: "",
    classes: &[],
};

fn list(root: &Path, lists: &Lists, split: Split) -> Option<PathBuf> {
    file(
        root,
        match split {
            Split::Train => lists.train,
            Split::Val => lists.val,
            Split::Test => lists.test,
        },
    )
}

pub(crate) fn detect(root: &Path, lists: &Lists) -> bool {
    list(root, lists, Split::Test).is_some()
}

pub(crate) fn open(root: &Path, lists: &Lists, ask: &Ask) -> Result<Content> {
    let list = list(root, lists, ask.split).ok_or_else(|| no_split(root, ask.split, lists.tree))?;
    let images = super::below(root, lists.images).unwrap_or_else(|| root.to_path_buf());
    let mut files = Vec::new();
    for line in lines(&list)? {
        // SUN397's paths begin with a slash, Birdsnap's list with a header.
        let line = line.trim_start_matches('/');
        if line == "path" {
            continue;
        }
        let line = line.split(['\t', ',']).next().unwrap_or(line);
        let (class, _) = line
            .rsplit_once('/')
            .ok_or_else(|| Error::file(&list, format!("not CLASS/IMAGE: {line:?}")))?;
        let path = images.join(format!("{line}{}", lists.suffix));
        files.push((path, line.to_owned(), class.to_owned()));
    }
    let keys = match file(root, lists.classes) {
        Some(path) => lines(&path)?.iter().map(|l| l.trim_start_matches('/').to_owned()).collect(),
        None => {
            let mut keys: Vec<String> = files.iter().map(|(_, _, class)| class.clone()).collect();
            keys.sort();
            keys.dedup();
            keys
        }
    };
    Content::files(&list, keys, files)
}

fn data(root: &Path) -> PathBuf {
    super::below(root, &["data"])
        .filter(|d| d.join("variants.txt").is_file())
        .unwrap_or_else(|| root.to_path_buf())
}

pub(crate) fn detect_aircraft(root: &Path) -> bool {
    data(root).join("variants.txt").is_file()
}

/// Variants; train is train and validation, as in the paper.
pub(crate) fn aircraft(root: &Path, ask: &Ask) -> Result<Content> {
    let root = data(root);
    let part = ask.split.name();
    let list = root.join(format!("images_variant_{part}.txt"));
    if !list.is_file() {
        return Err(no_split(&root, ask.split, AIRCRAFT));
    }
    let mut files = Vec::new();
    for line in lines(&list)? {
        let (id, variant) = line
            .split_once(' ')
            .ok_or_else(|| Error::file(&list, format!("not ID VARIANT: {line:?}")))?;
        files.push((root.join(format!("images/{id}.jpg")), id.to_owned(), variant.to_owned()));
    }
    Content::files(&list, lines(&root.join("variants.txt"))?, files)
}

pub(crate) fn detect_pets(root: &Path) -> bool {
    root.join("annotations/test.txt").is_file() && root.join("images").is_dir()
}

/// `IMAGE CLASS-ID SPECIES BREED-ID`; ids are counted from 1, breeds are in the images' names.
pub(crate) fn pets(root: &Path, ask: &Ask) -> Result<Content> {
    let list = match ask.split {
        Split::Test => root.join("annotations/test.txt"),
        Split::Train => root.join("annotations/trainval.txt"),
        Split::Val => return Err(no_split(root, ask.split, PETS)),
    };
    let mut names = BTreeMap::new();
    let mut files = Vec::new();
    for (number, line) in text(&list)?.lines().enumerate() {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let mut words = line.split_whitespace();
        let pair = words
            .next()
            .zip(words.next().and_then(|w| w.parse::<usize>().ok()))
            .filter(|(_, id)| (1..=BREEDS).contains(id));
        let (image, id) = pair.ok_or_else(|| {
            let reason = format!("line {}: not IMAGE CLASS-ID, with ids 1 to {BREEDS}", number + 1);
            Error::file(&list, reason)
        })?;
        let breed = image.rsplit_once('_').map_or(image, |(breed, _)| breed);
        names.entry(id).or_insert_with(|| breed.to_owned());
        files.push((root.join(format!("images/{image}.jpg")), image.to_owned(), breed.to_owned()));
    }
    Content::files(&list, names.into_values().collect(), files)
}

#[cfg(test)]
mod tests {
    use crate::{EvalItem, OpenOptions, Split, open, open_named};
    use std::path::Path;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, content) in files {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
    }

    fn items(spec: &str, split: Split) -> (Vec<String>, Vec<EvalItem>) {
        let set = open_named(spec, &OpenOptions { split, ..OpenOptions::default() }).unwrap();
        let items = set.items().map(Result::unwrap).collect();
        (set.classes, items)
    }

    #[test]
    fn food_dtd_sun_and_birdsnap() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("food");
        write(
            &root,
            &[
                ("meta/classes.txt", "apple_pie\nwaffles\n"),
                ("meta/test.txt", "waffles/1\n"),
                ("meta/train.txt", "apple_pie/2\n"),
                ("images/waffles/1.jpg", "w"),
                ("images/apple_pie/2.jpg", "a"),
            ],
        );
        let (classes, found) = items(&format!("food101={}", root.display()), Split::Test);
        assert_eq!(
            (classes.len(), classes[100].as_str(), found[0].truth.class()),
            (101, "waffles", Some(100))
        );
        assert_eq!(items(root.to_str().unwrap(), Split::Train).1[0].truth.class(), Some(0));

        let root = dir.path().join("dtd");
        write(
            &root,
            &[
                ("labels/test1.txt", "zigzagged/z.jpg\nbanded/b.jpg\n"),
                ("images/zigzagged/z.jpg", "z"),
                ("images/banded/b.jpg", "b"),
            ],
        );
        let (_, found) = items(&format!("dtd={}", root.display()), Split::Test);
        assert_eq!((found[0].truth.class(), found[1].truth.class()), (Some(46), Some(0)));

        let root = dir.path().join("sun");
        write(
            &root,
            &[
                ("ClassName.txt", "/a/abbey\n/a/apartment_building/outdoor\n"),
                ("Testing_01.txt", "/a/apartment_building/outdoor/s.jpg\n"),
                ("SUN397/a/apartment_building/outdoor/s.jpg", "s"),
            ],
        );
        let (classes, found) = items(root.to_str().unwrap(), Split::Test);
        assert_eq!(
            (classes[1].as_str(), found[0].truth.class()),
            ("a/apartment building/outdoor", Some(1))
        );

        let root = dir.path().join("birds");
        write(
            &root,
            &[
                ("test_images.txt", "path\nAcorn_Woodpecker/1.jpg\n"),
                ("images/Acorn_Woodpecker/1.jpg", "x"),
            ],
        );
        let (classes, found) = items(&format!("birdsnap={}", root.display()), Split::Test);
        assert_eq!((classes.len(), found[0].truth.class()), (500, Some(1)));
    }

    #[test]
    fn aircraft_and_pets() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("aircraft");
        write(
            &root,
            &[
                ("data/variants.txt", "707-320\nFalcon 900\n"),
                ("data/images_variant_test.txt", "0123 Falcon 900\n"),
                ("data/images/0123.jpg", "f"),
            ],
        );
        let (_, found) = items(root.to_str().unwrap(), Split::Test);
        assert_eq!((found[0].key.as_str(), found[0].truth.class()), ("0123", Some(1)));

        let root = dir.path().join("pets");
        write(
            &root,
            &[
                (
                    "annotations/test.txt",
                    "# header\nAbyssinian_1 1 1 1\namerican_bulldog_7 2 2 1\n",
                ),
                ("images/Abyssinian_1.jpg", "a"),
                ("images/american_bulldog_7.jpg", "b"),
            ],
        );
        let (classes, found) = items(&format!("pets={}", root.display()), Split::Test);
        assert_eq!(classes[found[1].truth.class().unwrap()], "american bulldog");
        assert_eq!(found[1].truth.class(), Some(12), "cats come first in the paper's list");
        let message = open(&dir.path().join("none")).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("no such file"), "{message}");
    }
}
