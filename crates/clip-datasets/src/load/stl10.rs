//! STL-10's binary files: planes column by column, classes counted from 1, ten folds of the train
//! part.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{Ask, Content, below, no_split};
use crate::error::{lines, read, text};
use crate::item::Split;
use crate::source::{Layout, RowFile, Source};
use crate::{Error, Result};

pub(crate) const TREE: &str = "  {train,test}_X.bin, {train,test}_y.bin, class_names.txt, fold_indices.txt (also below stl10_binary/)";
const SIDE: u32 = 96;

fn folder(root: &Path) -> PathBuf {
    below(root, &["stl10_binary"]).unwrap_or_else(|| root.to_path_buf())
}

pub(crate) fn detect(root: &Path) -> bool {
    folder(root).join("test_X.bin").is_file()
}

const FOLDS: &str = "fold_indices.txt";

/// The number of folds: a line of image numbers each.
pub(crate) fn folds(root: &Path) -> Result<usize> {
    let path = folder(root).join(FOLDS);
    if !path.is_file() {
        return Ok(1);
    }
    Ok(text(&path)?.lines().filter(|line| !line.trim().is_empty()).count().max(1))
}

/// The numbers of the images of a fold, all below `count`.
fn fold(root: &Path, fold: usize, count: u64) -> Result<HashSet<u64>> {
    let path = root.join(FOLDS);
    let text = text(&path)?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let beyond = || Error::file(&path, format!("fold {} of {}", fold + 1, lines.len()));
    let line = *lines.get(fold).ok_or_else(beyond)?;
    let number = |word: &str| match word.parse::<u64>() {
        Ok(at) if at < count => Ok(at),
        _ => {
            let reason = format!("fold {}: {word:?} is not one of {count} images", fold + 1);
            Err(Error::file(&path, reason))
        }
    };
    line.split_whitespace().map(number).collect()
}

/// The train part is a fold of 1,000 images, as the dataset's authors and the paper (table 9) fit
/// on; it has no validation part.
pub(crate) fn open(root: &Path, ask: &Ask) -> Result<Content> {
    let root = folder(root);
    if ask.split == Split::Val {
        return Err(no_split(&root, ask.split, TREE));
    }
    let part = if ask.split == Split::Test { "test" } else { "train" };
    let (images, labels) = (root.join(format!("{part}_X.bin")), root.join(format!("{part}_y.bin")));
    let bytes = read(&labels)?;
    let size = std::fs::metadata(&images).map_err(|e| Error::io(&images, e))?.len();
    let pixels = u64::from(SIDE * SIDE * 3);
    if size != bytes.len() as u64 * pixels {
        let reason = format!("{size} bytes for {} labels of {pixels}", bytes.len());
        return Err(Error::file(&images, reason));
    }
    if let Some(at) = bytes.iter().position(|label| !(1..=10).contains(label)) {
        let reason = format!("label {} of image {at} is not one of 1 to 10", bytes[at]);
        return Err(Error::file(&labels, reason));
    }
    let inside = if ask.split == Split::Train {
        Some(fold(&root, ask.fold, bytes.len() as u64)?)
    } else {
        None
    };
    let keep = |at: u64| inside.as_ref().is_none_or(|fold| fold.contains(&at));
    let rows = bytes.iter().enumerate().map(|(at, &label)| (at as u64, usize::from(label) - 1));
    let rows = rows.filter(|(at, _)| keep(*at)).collect();
    let layout = Layout::PlanarColumns;
    let prefix = format!("{part}/");
    let file =
        RowFile { path: images, head: 0, lead: 0, width: SIDE, height: SIDE, layout, rows, prefix };
    let names = root.join("class_names.txt");
    let keys = if names.exists() { lines(&names)? } else { super::numbers(10) };
    Ok(Content::classes(keys, Source::Rows(vec![file])))
}

#[cfg(test)]
mod tests {
    use crate::{OpenOptions, Split, open, open_with};

    #[test]
    fn the_train_part_is_one_fold_and_there_is_no_validation_part() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for (part, labels) in [("test", &[1u8][..]), ("train", &[1, 2, 3, 4])] {
            std::fs::write(path(&format!("{part}_X.bin")), vec![9; labels.len() * 96 * 96 * 3])
                .unwrap();
            std::fs::write(path(&format!("{part}_y.bin")), labels).unwrap();
        }
        std::fs::write(path("fold_indices.txt"), "0 3 \n1 2 \n3 0\n").unwrap();
        let open = |split, fold| {
            open_with(dir.path(), &OpenOptions { split, fold, ..OpenOptions::default() })
        };
        assert_eq!(open(Split::Test, None).unwrap().folds, 3);
        for (fold, wanted) in
            [(None, ["train/00000", "train/00003"]), (Some(1), ["train/00001", "train/00002"])]
        {
            let set = open(Split::Train, fold).unwrap();
            let keys: Vec<String> = set.items().map(|item| item.unwrap().key).collect();
            assert_eq!(keys, wanted);
            assert_eq!(set.keys().unwrap(), keys);
        }
        // All other images that have labels are no validation part of a fold.
        let message = open(Split::Val, None).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("no val part"), "{message}");
        let message = open(Split::Train, Some(3)).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("fold 4 of 3"), "{message}");
        std::fs::write(path("fold_indices.txt"), "0 4\n").unwrap();
        let message = open(Split::Train, None).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("\"4\" is not one of 4 images"), "{message}");
    }

    #[test]
    fn columns_are_turned_and_labels_start_at_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut image = vec![0; 96 * 96 * 3];
        image[1] = 200; // Second row of the first column, red.
        std::fs::write(dir.path().join("test_X.bin"), &image).unwrap();
        std::fs::write(dir.path().join("test_y.bin"), [10]).unwrap();
        std::fs::write(dir.path().join("train_X.bin"), [image.clone(), image].concat()).unwrap();
        std::fs::write(dir.path().join("train_y.bin"), [1, 2]).unwrap();
        std::fs::write(dir.path().join("fold_indices.txt"), "1 \n0 \n").unwrap();
        let item = open(dir.path()).unwrap().items().next().unwrap().unwrap();
        assert_eq!(item.truth.class(), Some(9));
        let pixels = &item.image[item.image.len() - 96 * 96 * 3..];
        assert_eq!((pixels[96 * 3], pixels[3]), (200, 0));
        let train = OpenOptions { split: Split::Train, ..OpenOptions::default() };
        let items: Vec<_> =
            open_with(dir.path(), &train).unwrap().items().map(Result::unwrap).collect();
        assert_eq!(
            (items.len(), items[0].key.as_str(), items[0].truth.class()),
            (1, "train/00001", Some(1))
        );
        std::fs::write(dir.path().join("test_y.bin"), [0]).unwrap();
        assert!(open(dir.path()).map(|_| ()).unwrap_err().to_string().contains("1 to 10"));
    }
}
