//! PatchCamelyon: images and labels in HDF5 files.

use std::path::{Path, PathBuf};

use hdf5_reader::{Hdf5File, SliceInfo, SliceInfoElem};

use super::{Ask, Content, file, no_split};
use crate::claim::claimed;
use crate::item::{EvalItem, Split};
use crate::source::{Items, Layout, Source, netpbm};
use crate::{Error, Result, Truth};

pub(crate) const TREE: &str = "  camelyonpatch_level_2_split_{train,valid,test}_x.h5, camelyonpatch_level_2_split_{train,valid,test}_y.h5 (unpacked from .gz, also below pcam/)";
/// Images that are read at a time.
const BATCH: u64 = 256;

fn files(root: &Path, split: Split) -> Option<(PathBuf, PathBuf)> {
    let part = if split == Split::Val { "valid" } else { split.name() };
    let find = |axis: &str| {
        let name = format!("camelyonpatch_level_2_split_{part}_{axis}.h5");
        file(root, &[&name, &format!("pcam/{name}")])
    };
    find("x").zip(find("y"))
}

pub(crate) fn detect(root: &Path) -> bool {
    files(root, Split::Test).is_some()
}

/// Rows of images in one file, their classes from the other.
#[derive(Clone)]
pub(crate) struct Arrays {
    path: PathBuf,
    width: u32,
    height: u32,
    labels: Vec<usize>,
    prefix: String,
}

pub(crate) fn open(root: &Path, ask: &Ask) -> Result<Content> {
    let (images, labels) = files(root, ask.split).ok_or_else(|| no_split(root, ask.split, TREE))?;
    let shape = dataset(&images, "x")?.shape().to_vec();
    let [count, height, width, 3] = shape[..] else {
        return Err(Error::file(&images, format!("its x is {shape:?}, not images x 96 x 96 x 3")));
    };
    if height == 0 || width == 0 {
        return Err(Error::file(&images, format!("its x is {shape:?}: images without pixels")));
    }
    // Chunks are packed by deflate.
    claimed(&images, true, &shape, 1)?;
    let classes = dataset(&labels, "y")?;
    let size = claimed(&labels, true, classes.shape(), 1)?;
    if size != count {
        return Err(Error::file(&labels, format!("{size} labels for {count} images")));
    }
    let bytes = classes.read_raw_bytes().map_err(|e| Error::file(&labels, e))?;
    // Whatever their width, the numbers are 0 and 1, little-endian.
    let step = (bytes.len() / (count as usize).max(1)).max(1);
    let classes: Vec<usize> = bytes.chunks(step).map(|number| usize::from(number[0])).collect();
    if let Some(at) = classes.iter().position(|class| *class > 1) {
        return Err(Error::file(&labels, format!("row {at}: label {} is not 0 or 1", classes[at])));
    }
    let prefix = format!("{}/", ask.split.name());
    let (width, height) = (width as u32, height as u32);
    let arrays = Arrays { path: images, width, height, labels: classes, prefix };
    let keys = vec!["lymph node".into(), "lymph node containing metastatic tumor tissue".into()];
    Ok(Content::classes(keys, Source::Hdf5(arrays)))
}

fn dataset(path: &Path, name: &str) -> Result<hdf5_reader::Dataset> {
    let file = Hdf5File::open(path).map_err(|e| Error::file(path, e))?;
    file.dataset(name).map_err(|e| Error::file(path, format!("no dataset {name}: {e}")))
}

impl Arrays {
    pub(crate) fn len(&self) -> u64 {
        self.labels.len() as u64
    }

    pub(crate) fn items(&self) -> Items<'_> {
        let starts = (0..self.len()).step_by(BATCH as usize);
        Box::new(starts.flat_map(move |start| match self.batch(start) {
            Ok(items) => items.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        }))
    }

    fn batch(&self, start: u64) -> Result<Vec<EvalItem>> {
        let end = (start + BATCH).min(self.len());
        let all = |size: u32| SliceInfoElem::Slice { start: 0, end: u64::from(size), step: 1 };
        let selections = vec![
            SliceInfoElem::Slice { start, end, step: 1 },
            all(self.height),
            all(self.width),
            all(3),
        ];
        let rows = dataset(&self.path, "x")?
            .read_slice::<u8>(&SliceInfo { selections })
            .map_err(|e| Error::file(&self.path, format!("rows from {start}: {e}")))?;
        let pixels: Vec<u8> = rows.iter().copied().collect();
        let size = self.width as usize * self.height as usize * 3;
        let item = |(at, bytes): (usize, &[u8])| {
            let row = start as usize + at;
            let image = netpbm(bytes, self.width, self.height, Layout::Interleaved);
            EvalItem::new(format!("{}{row:05}", self.prefix), image, Truth::Class(self.labels[row]))
        };
        Ok(pixels.chunks_exact(size).enumerate().map(item).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::{OpenOptions, open, open_named};
    use std::path::Path;

    #[test]
    fn packed_chunks_of_h5py_are_read() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pcam");
        let set =
            open_named(&format!("pcam={}", golden.display()), &OpenOptions::default()).unwrap();
        assert_eq!((set.loader, set.len()), ("pcam", Some(5)));
        let items: Vec<_> = set.items().map(Result::unwrap).collect();
        let classes: Vec<_> = items.iter().map(|item| item.truth.class().unwrap()).collect();
        assert_eq!(classes, [0, 1, 1, 0, 1]);
        // Pixel (y, x, c) of image n is (7 n + 5 y + 3 x + c) mod 256.
        let pixels = &items[3].image[items[3].image.len() - 96 * 96 * 3..];
        assert_eq!(pixels[(10 * 96 + 20) * 3 + 2], 133);
    }

    #[test]
    fn images_that_a_header_only_claims_are_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pcam");
        let bytes = |sizes: [u64; 4]| sizes.map(u64::to_le_bytes).concat();
        for (axis, rest, wrong) in
            [("x", [96, 96, 3], true), ("y", [1, 1, 1], true), ("x", [96, 96, 3], false)]
        {
            let name = format!("camelyonpatch_level_2_split_test_{axis}.h5");
            let mut file = std::fs::read(golden.join(&name)).unwrap();
            let shape = |count: u64| bytes([count, rest[0], rest[1], rest[2]]);
            let at: Vec<usize> =
                (0..file.len() - 32).filter(|&at| file[at..at + 32] == shape(5)).collect();
            assert_eq!(at.len(), 2, "sizes, and the most that they may grow to");
            if wrong {
                at.iter().for_each(|&at| file[at..at + 32].copy_from_slice(&shape(1 << 40)));
            }
            std::fs::write(dir.path().join(&name), file).unwrap();
            if axis == "y" || !wrong {
                let message = open(dir.path()).map(|_| ()).unwrap_err().to_string();
                let file = if wrong { "test_x.h5" } else { "test_y.h5" };
                assert!(message.contains(file) && message.contains("1099511627776 x"), "{message}");
            }
        }
    }

    #[test]
    fn images_without_pixels_are_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pcam");
        for axis in ["x", "y"] {
            let name = format!("camelyonpatch_level_2_split_test_{axis}.h5");
            let mut file = std::fs::read(golden.join(&name)).unwrap();
            let shape = |height: u64| [5, height, 96, 3].map(u64::to_le_bytes).concat();
            for at in 0..file.len() - 32 {
                if file[at..at + 32] == shape(96) {
                    file[at..at + 32].copy_from_slice(&shape(0));
                }
            }
            std::fs::write(dir.path().join(&name), file).unwrap();
        }
        let message = open(dir.path()).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("[5, 0, 96, 3]: images without pixels"), "{message}");
    }

    #[test]
    fn a_cut_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for axis in ["x", "y"] {
            std::fs::write(
                dir.path().join(format!("camelyonpatch_level_2_split_test_{axis}.h5")),
                b"\x89HDF\r\n",
            )
            .unwrap();
        }
        let message = open(dir.path()).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("_x.h5"), "{message}");
    }
}
