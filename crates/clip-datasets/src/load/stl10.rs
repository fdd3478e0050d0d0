//! STL-10's binary files: planes column by column, classes counted from 1, ten folds of the train part.

use std::path::{Path, PathBuf};

use super::{Ask, Content, below};
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

/// The train part is the first fold of 1,000 images; the others are its validation part.
pub(crate) fn open(root: &Path, ask: &Ask) -> Result<Content> {
    let root = folder(root);
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
    let fold = root.join("fold_indices.txt");
    let inside: Option<std::collections::HashSet<u64>> = if ask.split == Split::Test {
        None
    } else {
        let first = text(&fold)?;
        let first = first.lines().next().unwrap_or_default();
        let numbers = first.split_whitespace().map(str::parse::<u64>);
        Some(numbers.collect::<std::result::Result<_, _>>().map_err(|e| Error::file(&fold, e))?)
    };
    let keep = |at: u64| {
        inside.as_ref().is_none_or(|fold| fold.contains(&at) == (ask.split == Split::Train))
    };
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
