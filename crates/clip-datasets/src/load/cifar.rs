//! CIFAR-10 and CIFAR-100: the binary version, and the Python version (`cifar_python`).

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Ask, Content, below, cifar_python, file, no_split, numbers};
use crate::error::lines;
use crate::item::Split;
use crate::source::{Layout, RowFile, Source, stream};
use crate::{Error, Result};

pub(crate) const TEN: &str = "  data_batch_{1..5}.bin, test_batch.bin, batches.meta.txt (CIFAR-10 binary version, also below cifar-10-batches-bin/)\n  data_batch_{1..5}, test_batch, batches.meta (CIFAR-10 Python version, also below cifar-10-batches-py/)";
pub(crate) const HUNDRED: &str = "  train.bin, test.bin, fine_label_names.txt (CIFAR-100 binary version, also below cifar-100-binary/)\n  train, test, meta (CIFAR-100 Python version, also below cifar-100-python/)";
const PIXELS: usize = 3 * 32 * 32;

/// One version's names of things.
struct Version {
    classes: usize,
    python: bool,
    folder: &'static str,
    train: &'static [&'static str],
    test: &'static [&'static str],
    names: &'static str,
}

const VERSIONS: [Version; 4] = [
    Version {
        classes: 10,
        python: false,
        folder: "cifar-10-batches-bin",
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: &["test_batch.bin"],
        names: "batches.meta.txt",
    },
    Version {
        classes: 10,
        python: true,
        folder: "cifar-10-batches-py",
        train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
        test: &["test_batch"],
        names: "batches.meta",
    },
    Version {
        classes: 100,
        python: false,
        folder: "cifar-100-binary",
        train: &["train.bin"],
        test: &["test.bin"],
        names: "fine_label_names.txt",
    },
    Version {
        classes: 100,
        python: true,
        folder: "cifar-100-python",
        train: &["train"],
        test: &["test"],
        names: "meta",
    },
];

/// The version that is here, and its folder.
fn find(root: &Path, classes: usize) -> Option<(&'static Version, PathBuf)> {
    VERSIONS.iter().filter(|version| version.classes == classes).find_map(|version| {
        let folder = below(root, &[version.folder]).unwrap_or_else(|| root.to_path_buf());
        // The names of CIFAR-100's files are common: both are wanted.
        let found = file(&folder, version.test).is_some()
            && (classes == 10 || file(&folder, version.train).is_some());
        found.then_some((version, folder))
    })
}

pub(crate) fn detect(root: &Path, classes: usize) -> bool {
    find(root, classes).is_some()
}

pub(crate) fn open(root: &Path, classes: usize, ask: &Ask) -> Result<Content> {
    let tree = if classes == 100 { HUNDRED } else { TEN };
    let missing = || no_split(root, ask.split, tree);
    let (version, folder) = find(root, classes).ok_or_else(missing)?;
    let names = match ask.split {
        Split::Train => version.train,
        Split::Test => version.test,
        Split::Val => return Err(missing()),
    };
    let read = |name: &&str| {
        let path = folder.join(name);
        if version.python { cifar_python::batch(&path, classes) } else { batch(&path, classes) }
    };
    let files = names.iter().map(read).collect::<Result<Vec<_>>>()?;
    let keys = match file(&folder, &[version.names]) {
        Some(path) if version.python => cifar_python::names(&path, classes)?,
        Some(path) => lines(&path)?,
        None => numbers(classes),
    };
    Ok(Content::classes(keys, Source::Rows(files)))
}

fn batch(path: &Path, classes: usize) -> Result<RowFile> {
    // Bytes before the pixels: the class, with the coarse one before it in CIFAR-100.
    let lead = if classes == 100 { 2 } else { 1 };
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
        let spec = format!("cifar10={}", dir.path().display());
        let message =
            open_named(&spec, &OpenOptions::default()).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("cifar-10-batches-py"), "CIFAR-100 is not CIFAR-10: {message}");
    }
}
