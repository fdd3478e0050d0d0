//! CIFAR-10's and CIFAR-100's Python version: pickled dictionaries of an array of bytes and lists
//! of labels.

use std::path::Path;

use super::pickle::Pickle;
use crate::source::{Layout, RowFile};
use crate::{Error, Result};

/// Bytes of an image: a plane a channel.
const PIXELS: u64 = 3 * 32 * 32;

/// One batch: where its rows are, and the class of each.
pub(super) fn batch(path: &Path, classes: usize) -> Result<RowFile> {
    let batch = Pickle::read(path)?;
    let bad = |reason: String| Error::file(path, reason);
    let data = batch.get("data").and_then(|id| batch.bytes(id));
    let data = data.ok_or_else(|| bad("no array `data`".into()))?;
    let key = if classes == 100 { "fine_labels" } else { "labels" };
    let labels = batch.get(key).and_then(|id| batch.numbers(id));
    let labels = labels.ok_or_else(|| bad(format!("no list of numbers `{key}`")))?;
    if data.sizes != [labels.len() as u64, PIXELS] {
        return Err(bad(format!(
            "data of {:?} for {} labels of {PIXELS}",
            data.sizes,
            labels.len()
        )));
    }
    let row = |(at, label): (usize, &i64)| match usize::try_from(*label) {
        Ok(class) if class < classes => Ok((at as u64, class)),
        _ => Err(bad(format!("row {at}: class {label} of {classes}"))),
    };
    Ok(RowFile {
        path: path.to_path_buf(),
        head: data.at,
        lead: 0,
        width: 32,
        height: 32,
        layout: Layout::Planar,
        rows: labels.iter().enumerate().map(row).collect::<Result<_>>()?,
        prefix: format!("{}/", super::name(path)),
    })
}

/// The class names in `batches.meta` or `meta`.
pub(super) fn names(path: &Path, classes: usize) -> Result<Vec<String>> {
    let key = if classes == 100 { "fine_label_names" } else { "label_names" };
    let meta = Pickle::read(path)?;
    let names = meta.get(key).and_then(|id| meta.texts(id)).filter(|names| names.len() == classes);
    names.ok_or_else(|| Error::file(path, format!("no list of {classes} names `{key}`")))
}

#[cfg(test)]
mod tests {
    use super::super::pickle::tests::{batch, names};
    use crate::{OpenOptions, Split, open, open_named};

    #[test]
    fn both_kinds_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("cifar-10-batches-py");
        std::fs::create_dir(&root).unwrap();
        let mut pixels = vec![7; 3072];
        pixels.extend((0..3072).map(|n| (n / 1024) as u8));
        std::fs::write(root.join("test_batch"), batch("labels", &[3, 9], &pixels)).unwrap();
        for n in 1..=5 {
            let bytes = batch("labels", &[n], &[n; 3072]);
            std::fs::write(root.join(format!("data_batch_{n}")), bytes).unwrap();
        }
        let words = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        std::fs::write(root.join("batches.meta"), names("label_names", &words)).unwrap();
        let set = open(dir.path()).unwrap();
        assert_eq!((set.loader, set.classes[9].as_str()), ("cifar10", "j"));
        let items: Vec<_> = set.items().map(Result::unwrap).collect();
        assert_eq!((items.len(), items[1].truth.class()), (2, Some(9)));
        assert_eq!(items[1].key, "test_batch/00001");
        assert!(items[1].image.ends_with(&[0, 1, 2, 0, 1, 2]), "planes become pixels");
        let train = OpenOptions { split: Split::Train, ..OpenOptions::default() };
        let spec = format!("cifar10={}", root.display());
        std::fs::remove_file(root.join("batches.meta")).unwrap();
        assert_eq!(open_named(&spec, &train).unwrap().items().count(), 5);
        std::fs::write(root.join("test_batch"), batch("labels", &[10], &[0; 3072])).unwrap();
        assert!(open(dir.path()).map(|_| ()).unwrap_err().to_string().contains("class 10 of 10"));

        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("cifar-100-python");
        std::fs::create_dir(&root).unwrap();
        for part in ["train", "test"] {
            std::fs::write(root.join(part), batch("fine_labels", &[99], &[1; 3072])).unwrap();
        }
        let spec = format!("cifar100={}", dir.path().display());
        let set = open_named(&spec, &OpenOptions::default()).unwrap();
        assert_eq!(set.items().next().unwrap().unwrap().truth.class(), Some(99));
    }
}
