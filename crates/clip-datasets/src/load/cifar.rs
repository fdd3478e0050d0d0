//! CIFAR-10's and CIFAR-100's binary version.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Ask, Content, below, file, no_split, numbers};
use crate::error::lines;
use crate::item::Split;
use crate::source::{Layout, RowFile, Source, stream};
use crate::{Error, Result};

pub(crate) const TREE: &str = "  data_batch_{1..5}.bin, test_batch.bin, batches.meta.txt (CIFAR-10 binary version, also below cifar-10-batches-bin/)\n  train.bin, test.bin, fine_label_names.txt (CIFAR-100 binary version, also below cifar-100-binary/)";
const PIXELS: usize = 3 * 32 * 32;

fn folder(root: &Path) -> PathBuf {
    below(root, &["cifar-10-batches-bin", "cifar-100-binary"]).unwrap_or_else(|| root.to_path_buf())
}

pub(crate) fn detect(root: &Path) -> bool {
    let root = folder(root);
    root.join("test_batch.bin").is_file()
        || (root.join("test.bin").is_file() && root.join("train.bin").is_file())
}

pub(crate) fn open(root: &Path, ask: &Ask) -> Result<Content> {
    let root = folder(root);
    let hundred = !root.join("test_batch.bin").is_file();
    // Bytes before the pixels: the class, with the coarse one before it in CIFAR-100.
    let lead = if hundred { 2 } else { 1 };
    let names: Vec<String> = match (ask.split, hundred) {
        (Split::Val, _) => return Err(no_split(&root, ask.split, TREE)),
        (Split::Train, false) => (1..=5).map(|n| format!("data_batch_{n}.bin")).collect(),
        (Split::Train, true) => vec!["train.bin".into()],
        (Split::Test, false) => vec!["test_batch.bin".into()],
        (Split::Test, true) => vec!["test.bin".into()],
    };
    let classes = if hundred { 100 } else { 10 };
    let files = names.iter().map(|name| batch(&root.join(name), lead, classes));
    let files = files.collect::<Result<Vec<_>>>()?;
    let listed = file(&root, &["fine_label_names.txt", "batches.meta.txt"]);
    let keys = listed.map_or_else(|| Ok(numbers(classes)), |path| lines(&path))?;
    Ok(Content::classes(keys, Source::Rows(files)))
}

fn batch(path: &Path, lead: usize, classes: usize) -> Result<RowFile> {
    let size = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
    let stride = (lead + PIXELS) as u64;
    if size == 0 || size % stride != 0 {
        let reason = format!("{size} bytes are no multiple of the {stride} of an image");
        return Err(Error::file(path, reason));
    }
    let mut reader = stream(path, 0)?;
    let mut row = vec![0; stride as usize];
    let mut rows = Vec::new();
    for at in 0..size / stride {
        reader.read_exact(&mut row).map_err(|e| Error::file(path, e))?;
        let class = usize::from(row[lead - 1]);
        if class >= classes {
            return Err(Error::file(path, format!("row {at}: class {class} of {classes}")));
        }
        rows.push((at, class));
    }
    let prefix = format!("{}/", super::stem(path));
    let path = path.to_path_buf();
    Ok(RowFile { path, head: 0, lead, width: 32, height: 32, layout: Layout::Planar, rows, prefix })
}

#[cfg(test)]
mod tests {
    use super::PIXELS;
    use crate::{OpenOptions, Split, open, open_named, open_with};

    #[test]
    fn both_kinds_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let row = |labels: &[u8], shade: u8| [labels, &vec![shade; PIXELS]].concat();
        std::fs::write(dir.path().join("test_batch.bin"), [row(&[3], 7), row(&[9], 8)].concat())
            .unwrap();
        for n in 1..=5 {
            std::fs::write(dir.path().join(format!("data_batch_{n}.bin")), row(&[n], n)).unwrap();
        }
        let set = open_named(&format!("cifar10={}", dir.path().display()), &OpenOptions::default())
            .unwrap();
        let items: Vec<_> = set.items().map(Result::unwrap).collect();
        assert_eq!((set.classes[9].as_str(), items[1].truth.class()), ("truck", Some(9)));
        assert!(items[1].image.ends_with(&[8; PIXELS]) && items[1].key == "test_batch/00001");
        let train = OpenOptions { split: Split::Train, ..OpenOptions::default() };
        assert_eq!(open_with(dir.path(), &train).unwrap().items().count(), 5);
        std::fs::write(dir.path().join("test_batch.bin"), [0; 100]).unwrap();
        assert!(open(dir.path()).map(|_| ()).unwrap_err().to_string().contains("3073"));

        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("test.bin"), row(&[4, 99], 1)).unwrap();
        std::fs::write(dir.path().join("train.bin"), row(&[4, 100], 1)).unwrap();
        let set = open(dir.path()).unwrap();
        assert_eq!(set.items().next().unwrap().unwrap().truth.class(), Some(99));
        assert!(open_with(dir.path(), &train).is_err());
    }
}
