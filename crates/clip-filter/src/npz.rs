//! Matrices of NumPy's, `.npy` or within `.npz`, read some rows at a time.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use clip_corpus::IoContext;
use clip_format::npy;
use flate2::CrcReader;
use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use crate::{Error, Result};

/// The type of the stored numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Half,
    Single,
}

impl Kind {
    fn bytes(self) -> usize {
        if self == Self::Half { 2 } else { 4 }
    }
}

/// A matrix in a file.
pub(crate) struct MatrixFile {
    path: PathBuf,
    kind: Kind,
    rows: usize,
    width: usize,
    next: usize,
    input: CrcReader<Box<dyn Read + Send>>,
    /// The check sum of a zip archive's entry.
    crc: Option<u32>,
}

impl MatrixFile {
    /// Opens the array of that name of a `.npz` file, or the only one of a `.npy` file.
    pub(crate) fn open(path: &Path, array: &str) -> Result<Self> {
        let packed = path.extension().is_some_and(|extension| extension == "npz");
        if packed { Self::npz(path, array) } else { Self::npy(path) }
    }

    /// Opens a `.npy` file.
    pub(crate) fn npy(path: &Path) -> Result<Self> {
        let file = File::open(path).at(path)?;
        let length = file.metadata().at(path)?.len();
        Self::new(path, Box::new(BufReader::new(file)), length, None)
    }

    /// Opens an array of a `.npz` file, stored or deflated.
    pub(crate) fn npz(path: &Path, array: &str) -> Result<Self> {
        let damaged = |reason: &dyn std::fmt::Display| Error::damaged(path, reason);
        let mut file = File::open(path).at(path)?;
        let mut archive = ZipArchive::new(BufReader::new(&file)).map_err(|e| damaged(&e))?;
        let name = format!("{array}.npy");
        let Some(index) = archive.index_for_name(&name) else {
            let names: Vec<&str> = archive.file_names().collect();
            let hint = format!("hint: it has {}", names.join(", ").replace(".npy", ""));
            let why = format!("{}: no array {array}\n{hint}", path.display());
            return Err(Error::Settings(why));
        };
        let entry = archive.by_index_raw(index).map_err(|e| damaged(&e))?;
        let (start, packed) = (entry.data_start(), entry.compressed_size());
        let (length, crc, method) = (entry.size(), entry.crc32(), entry.compression());
        drop(entry);
        drop(archive);
        file.seek(SeekFrom::Start(start)).at(path)?;
        let content = BufReader::new(file).take(packed);
        let input: Box<dyn Read + Send> = if method == CompressionMethod::Stored {
            Box::new(content)
        } else if method == CompressionMethod::DEFLATE {
            Box::new(DeflateDecoder::new(content))
        } else {
            return Err(damaged(&format!("{name} is packed by {method:?}")));
        };
        Self::new(path, input, length, Some(crc))
    }

    fn new(
        path: &Path,
        input: Box<dyn Read + Send>,
        length: u64,
        crc: Option<u32>,
    ) -> Result<Self> {
        let damaged = |reason: String| Error::damaged(path, reason);
        let mut input = CrcReader::new(input);
        let head = npy::read_header(&mut input).map_err(damaged)?;
        let array = npy::parse(&head).map_err(damaged)?;
        let kind = match array.descr.as_str() {
            "'<f2'" => Kind::Half,
            "'<f4'" => Kind::Single,
            other => return Err(damaged(format!("numbers of type {other}, not <f2 or <f4"))),
        };
        let &[rows, width] = &array.shape[..] else {
            return Err(damaged(format!("an array of shape {:?}, not a matrix", array.shape)));
        };
        if array.fortran_order {
            return Err(damaged("a matrix in Fortran's order".into()));
        }
        let room = length.saturating_sub(head.len() as u64);
        let sizes = [rows as u64, width as u64];
        let claim = clip_guard::claim(&sizes, kind.bytes() as u64, room).map_err(damaged)?;
        if claim < room || width == 0 {
            return Err(damaged(format!("{rows} rows of {width}, but {room} bytes")));
        }
        let path = path.to_path_buf();
        Ok(Self { path, kind, rows, width, next: 0, input, crc })
    }

    /// Rows in all.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers in a row.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The next rows, up to this many.
    pub(crate) fn read(&mut self, rows: usize) -> Result<Block> {
        let rows = rows.min(self.rows - self.next);
        let mut bytes = vec![0; rows * self.width * self.kind.bytes()];
        let cut = |e: std::io::Error| {
            let last = self.next + rows;
            Error::damaged(&self.path, format!("rows {} to {last}: {e}", self.next))
        };
        self.input.read_exact(&mut bytes).map_err(cut)?;
        let (kind, width, first) = (self.kind, self.width, self.next);
        self.next += rows;
        if self.next == self.rows && self.crc.is_some_and(|crc| crc != self.input.crc().sum()) {
            return Err(Error::damaged(&self.path, "the check sum of the array differs"));
        }
        Ok(Block { kind, width, first, bytes })
    }
}

/// Some rows as they are stored.
pub(crate) struct Block {
    kind: Kind,
    width: usize,
    first: usize,
    bytes: Vec<u8>,
}

impl Block {
    /// Rows in the block.
    pub(crate) fn rows(&self) -> usize {
        self.bytes.len() / (self.width * self.kind.bytes())
    }

    /// The number of the first row in its file.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// Appends the numbers of a row.
    ///
    /// # Errors
    /// The row's number in its file, when one is infinite or none.
    pub(crate) fn append(
        &self,
        row: usize,
        numbers: &mut Vec<f32>,
    ) -> std::result::Result<(), usize> {
        let size = self.width * self.kind.bytes();
        let bytes = &self.bytes[row * size..][..size];
        let from = numbers.len();
        match self.kind {
            Kind::Half => {
                let halves = bytes.as_chunks::<2>().0;
                numbers.extend(halves.iter().map(|&half| npy::half(half)));
            }
            Kind::Single => {
                let singles = bytes.as_chunks::<4>().0;
                numbers.extend(singles.iter().map(|&number| f32::from_le_bytes(number)));
            }
        }
        let finite = numbers[from..].iter().all(|number| number.is_finite());
        if finite { Ok(()) } else { Err(self.first + row) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Write;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    /// A `.npz` file with one array of halves.
    pub(crate) fn write_npz(path: &Path, array: &str, width: usize, halves: &[u16]) {
        let mut zip = ZipWriter::new(File::create(path).unwrap());
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(format!("{array}.npy"), stored).unwrap();
        zip.write_all(&npy::header("'<f2'", &[halves.len() / width, width])).unwrap();
        halves.iter().for_each(|half| zip.write_all(&half.to_le_bytes()).unwrap());
        zip.finish().unwrap();
    }

    /// `numpy.savez_compressed(…, a=numpy.array([[1, -0.5], [2**-24, 65504]], "f2"))` of NumPy
    /// 1.26, from scripts/golden/filter.
    const PACKED: &[u8] = include_bytes!("../data/golden/packed.npz");

    #[test]
    fn rows_come_in_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        std::fs::write(&path, PACKED).unwrap();
        let mut file = MatrixFile::npz(&path, "a").unwrap();
        assert_eq!((file.rows(), file.width()), (2, 2));
        let (first, second) = (file.read(1).unwrap(), file.read(9).unwrap());
        let mut numbers = Vec::new();
        first.append(0, &mut numbers).unwrap();
        second.append(0, &mut numbers).unwrap();
        assert_eq!(numbers, [1.0, -0.5, 2f32.powi(-24), 65_504.0]);
        assert_eq!((first.rows(), second.rows(), file.read(1).unwrap().rows()), (1, 1, 0));
        let message = MatrixFile::npz(&path, "b").err().unwrap().to_string();
        assert!(message.contains("no array b\nhint: it has a"), "{message}");
    }

    #[test]
    fn damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let numbers: Vec<u16> = (0..4000).collect();
        write_npz(&path, "l14_img", 4, &numbers);
        let whole = std::fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[4000] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        let mut file = MatrixFile::npz(&path, "l14_img").unwrap();
        file.read(999).unwrap();
        let message = file.read(9).err().unwrap().to_string();
        assert!(message.contains("a.npz: the check sum"), "{message}");
        for (at, bytes) in [(0, &b"PL"[..]), (60, &b"\xff\xff"[..])] {
            let mut damaged = whole.clone();
            damaged[at..at + 2].copy_from_slice(bytes);
            std::fs::write(&path, &damaged).unwrap();
            if let Err(error) = MatrixFile::npz(&path, "l14_img").and_then(|mut f| f.read(1000)) {
                assert!(error.to_string().contains("a.npz"), "{error}");
            }
        }
        std::fs::write(&path, &whole[..whole.len() - 30]).unwrap();
        assert!(MatrixFile::npz(&path, "l14_img").is_err());
        let infinite = [0x3c00, 0x7c00];
        write_npz(&path, "x", 1, &infinite);
        let block = MatrixFile::npz(&path, "x").unwrap().read(2).unwrap();
        assert_eq!(block.append(1, &mut Vec::new()), Err(1));
    }

    #[test]
    fn a_shape_that_the_file_has_no_room_for_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        for shape in [&[1 << 40, 1 << 20][..], &[2, 2], &[4], &[0, 3]] {
            let mut bytes = npy::header("'<f4'", shape);
            bytes.extend([0; 4]);
            std::fs::write(&path, bytes).unwrap();
            let error = MatrixFile::npy(&path).err().unwrap().to_string();
            assert!(error.contains("a.npy: "), "{error}");
        }
        std::fs::write(&path, npy::header("'<f8'", &[0, 1])).unwrap();
        assert!(MatrixFile::npy(&path).err().unwrap().to_string().contains("type '<f8'"));
    }
}
