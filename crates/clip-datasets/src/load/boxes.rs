//! Sets that are described in MATLAB files: Oxford Flowers 102 and Stanford Cars.

use std::path::{Path, PathBuf};

use super::mat::Mat;
use super::mat_file::read_mat;
use super::{Ask, Content, below, file, no_split, numbers};
use crate::item::Split;
use crate::source::{FileItem, Source};
use crate::{Error, Result, Truth};

pub(crate) const FLOWERS: &str = "  jpg/image_00001.jpg …, imagelabels.mat, setid.mat";
pub(crate) const CARS: &str = "  cars_test/*.jpg, cars_test_annos_withlabels.mat, cars_train/*.jpg, devkit/cars_train_annos.mat, devkit/cars_meta.mat";

/// Flowers' classes, and cars'.
const SPECIES: usize = 102;
const MODELS: usize = 196;

/// The class of a label that is counted from 1.
fn class(label: f64, classes: usize) -> Option<usize> {
    (label >= 1.0 && label <= classes as f64).then(|| label as usize - 1)
}

fn wanted<'a>(
    values: &'a std::collections::BTreeMap<String, Mat>,
    name: &str,
    path: &Path,
) -> Result<&'a [f64]> {
    values
        .get(name)
        .and_then(Mat::numbers)
        .ok_or_else(|| Error::file(path, format!("no numbers {name}")))
}

pub(crate) fn detect_flowers(root: &Path) -> bool {
    root.join("imagelabels.mat").is_file() && root.join("setid.mat").is_file()
}

/// Classes and images are counted from 1. The parts are the official ones: tstid is the larger.
pub(crate) fn flowers(root: &Path, ask: &Ask) -> Result<Content> {
    let (labels_file, parts_file) = (root.join("imagelabels.mat"), root.join("setid.mat"));
    let labels_mat = read_mat(&labels_file)?;
    let labels = wanted(&labels_mat, "labels", &labels_file)?;
    let part = match ask.split {
        Split::Train => "trnid",
        Split::Val => "valid",
        Split::Test => "tstid",
    };
    let parts = read_mat(&parts_file)?;
    let images = below(root, &["jpg"]).ok_or_else(|| Error::layout(root, "no jpg/", FLOWERS))?;
    let mut items = Vec::new();
    for &id in wanted(&parts, part, &parts_file)? {
        let name = format!("image_{:05}.jpg", id as u64);
        let label = labels.get((id as usize).wrapping_sub(1)).and_then(|&l| class(l, SPECIES));
        let label =
            label.ok_or_else(|| Error::item(&labels_file, &name, "no label from 1 to 102"))?;
        items.push(FileItem::new(images.join(&name), name, Truth::Class(label)));
    }
    Ok(Content::classes(numbers(SPECIES), Source::files(items)))
}

fn annotations(root: &Path, split: Split) -> Option<PathBuf> {
    match split {
        Split::Test => {
            file(root, &["cars_test_annos_withlabels.mat", "devkit/cars_test_annos_withlabels.mat"])
        }
        Split::Train => file(root, &["devkit/cars_train_annos.mat", "cars_train_annos.mat"]),
        Split::Val => None,
    }
}

pub(crate) fn detect_cars(root: &Path) -> bool {
    annotations(root, Split::Test).or_else(|| annotations(root, Split::Train)).is_some()
}

/// Classes are counted from 1.
pub(crate) fn cars(root: &Path, ask: &Ask) -> Result<Content> {
    let path = annotations(root, ask.split).ok_or_else(|| no_split(root, ask.split, CARS))?;
    let values = read_mat(&path)?;
    let Some(Mat::Structs(fields)) = values.get("annotations") else {
        return Err(Error::file(&path, "no structures `annotations`"));
    };
    let column = |name: &str| {
        fields.get(name).ok_or_else(|| {
            Error::file(&path, format!("no field `{name}`: the version with labels is needed"))
        })
    };
    let (classes, names) = (column("class")?, column("fname")?);
    let images = root.join(if ask.split == Split::Test { "cars_test" } else { "cars_train" });
    let mut items = Vec::new();
    for (row, (label, name)) in classes.iter().zip(names).enumerate() {
        let label = label.numbers().and_then(|numbers| class(*numbers.first()?, MODELS));
        let (label, name) = label.zip(name.text()).ok_or_else(|| {
            Error::file(&path, format!("row {row}: no class of 1 to {MODELS} and file name"))
        })?;
        items.push(FileItem::new(images.join(name), name.to_owned(), Truth::Class(label)));
    }
    let keys = match file(root, &["devkit/cars_meta.mat", "cars_meta.mat"]) {
        Some(meta) => match read_mat(&meta)?.get("class_names") {
            Some(Mat::Cells(cells)) => {
                cells.iter().map(|c| c.text().unwrap_or_default().to_owned()).collect()
            }
            _ => return Err(Error::file(&meta, "no cells `class_names`")),
        },
        None => numbers(MODELS),
    };
    if let Some(bad) = items.iter().find(|i| i.truth.class().is_some_and(|c| c >= keys.len())) {
        return Err(Error::item(
            &path,
            &bad.key,
            format!("its class is not one of {}", keys.len()),
        ));
    }
    Ok(Content::classes(keys, Source::files(items)))
}

#[cfg(test)]
mod tests {
    use crate::{OpenOptions, Split, open_named};
    use std::path::Path;

    fn golden(name: &str) -> Vec<u8> {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name))
            .unwrap()
    }

    #[test]
    fn flowers_and_cars_count_from_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("jpg")).unwrap();
        std::fs::write(dir.path().join("imagelabels.mat"), golden("imagelabels.mat")).unwrap();
        std::fs::write(dir.path().join("setid.mat"), golden("setid.mat")).unwrap();
        for n in 1..=6 {
            std::fs::write(dir.path().join(format!("jpg/image_{n:05}.jpg")), [n]).unwrap();
        }
        let open = |split| {
            open_named(
                &format!("flowers={}", dir.path().display()),
                &OpenOptions { split, ..OpenOptions::default() },
            )
            .unwrap()
        };
        let test: Vec<_> = open(Split::Test).items().map(Result::unwrap).collect();
        assert_eq!(
            (test.len(), test[0].key.as_str(), test[0].truth.class()),
            (3, "image_00004.jpg", Some(0))
        );
        assert_eq!(open(Split::Train).items().count(), 2);
        assert_eq!(open(Split::Val).items().count(), 1);

        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("cars_test")).unwrap();
        std::fs::write(dir.path().join("cars_test_annos_withlabels.mat"), golden("cars.mat"))
            .unwrap();
        std::fs::write(dir.path().join("cars_test/00001.jpg"), b"a").unwrap();
        std::fs::write(dir.path().join("cars_test/00002.jpg"), b"b").unwrap();
        let set =
            open_named(&format!("cars={}", dir.path().display()), &OpenOptions::default()).unwrap();
        let last = set.items().last().unwrap().unwrap();
        assert_eq!(
            (set.classes[195].as_str(), last.truth.class()),
            ("smart fortwo Convertible 2012", Some(195))
        );
    }
}
