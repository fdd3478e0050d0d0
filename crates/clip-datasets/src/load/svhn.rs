//! SVHN's cropped digits (format 2) in MATLAB's files: `X` is rows x columns x channels x images,
//! column by column, which is planes of columns an image; `y` counts from 1, with 10 for the digit
//! 0.

use std::path::{Path, PathBuf};

use super::mat_file::{find_bytes, read_value};
use super::{Ask, Content, file, no_split, numbers};
use crate::item::Split;
use crate::source::{Layout, RowFile, Source};
use crate::{Error, Result};

pub(crate) const TREE: &str =
    "  test_32x32.mat, train_32x32.mat (extra_32x32.mat is neither part, and not read)";

fn part(root: &Path, split: Split) -> Option<PathBuf> {
    match split {
        Split::Train => file(root, &["train_32x32.mat"]),
        Split::Test => file(root, &["test_32x32.mat"]),
        Split::Val => None,
    }
}

pub(crate) fn detect(root: &Path) -> bool {
    part(root, Split::Test).or_else(|| part(root, Split::Train)).is_some()
}

pub(crate) fn open(root: &Path, ask: &Ask) -> Result<Content> {
    let path = part(root, ask.split).ok_or_else(|| no_split(root, ask.split, TREE))?;
    let pixels = find_bytes(&path, "X")?;
    let labels = read_value(&path, "y")?;
    let labels = labels.numbers().ok_or_else(|| Error::file(&path, "y is not numbers"))?;
    if pixels.sizes != [32, 32, 3, labels.len() as u64] {
        let reason = format!("X is {:?}, not 32 x 32 x 3 x {} labels", pixels.sizes, labels.len());
        return Err(Error::file(&path, reason));
    }
    let row = |(at, label): (usize, &f64)| match (1..=10u8).find(|n| f64::from(*n) == *label) {
        Some(label) => Ok((at as u64, usize::from(label % 10))),
        None => Err(Error::file(&path, format!("row {at}: label {label} is not one of 1 to 10"))),
    };
    let rows = labels.iter().enumerate().map(row).collect::<Result<_>>()?;
    let file = RowFile {
        head: pixels.head,
        lead: 0,
        width: 32,
        height: 32,
        layout: Layout::PlanarColumns,
        rows,
        prefix: format!("{}/", ask.split.name()),
        path,
    };
    let source = match pixels.packed {
        Some(at) => Source::Packed(at, file),
        None => Source::Rows(vec![file]),
    };
    Ok(Content::classes(numbers(10), source))
}

#[cfg(test)]
mod tests {
    use crate::{OpenOptions, Protocol, Split, open_named};
    use std::path::Path;

    /// `tests/golden/svhn` is SciPy's: pixel (y, x, c) of image n is (7 n + 5 y + 3 x + c) mod 256;
    /// test is packed.
    #[test]
    fn packed_and_plain_arrays_of_scipy_are_read() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/svhn");
        for (split, classes) in
            [(Split::Test, &[0, 1, 9, 0, 5][..]), (Split::Train, &[3, 0, 3][..])]
        {
            let options = OpenOptions { split, ..OpenOptions::default() };
            let set = open_named(&format!("svhn={}", golden.display()), &options).unwrap();
            assert_eq!((set.loader, set.len()), ("svhn", Some(classes.len() as u64)));
            assert_eq!((set.protocol, set.classes[9].as_str()), (Protocol::ClipBenchmark, "nine"));
            let items: Vec<_> = set.items().map(Result::unwrap).collect();
            let found: Vec<_> = items.iter().map(|item| item.truth.class().unwrap()).collect();
            assert_eq!(found, classes);
            let pixels = &items[2].image[items[2].image.len() - 32 * 32 * 3..];
            assert_eq!(pixels[(10 * 32 + 20) * 3 + 2], (14 + 50 + 60 + 2) as u8);
        }
    }

    #[test]
    fn labels_that_are_no_digits_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let spec = format!("svhn={}", dir.path().display());
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        std::fs::copy(golden.join("values_plain.mat"), dir.path().join("test_32x32.mat")).unwrap();
        let message =
            open_named(&spec, &OpenOptions::default()).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("test_32x32.mat: no array X"), "{message}");
        std::fs::copy(golden.join("svhn/wrong.mat"), dir.path().join("test_32x32.mat")).unwrap();
        let message =
            open_named(&spec, &OpenOptions::default()).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("row 1: label 0 is not one of 1 to 10"), "{message}");
    }
}
