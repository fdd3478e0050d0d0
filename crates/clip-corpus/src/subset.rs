//! DataComp's subset files: uids as a NumPy array of `u8,u8`, sorted.
//!
//! A uid of 32 hex digits is two numbers of 64 bits, the first half in `f0`, the second in `f1`. A
//! uid that is listed n times is wanted n times.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use clip_format::{AtomicFile, npy};

use crate::{Error, IoContext, Result};

/// The number of a uid of 32 hex digits.
pub fn uid_number(uid: &str) -> Option<u128> {
    let digits = uid.len() == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u128::from_str_radix(uid, 16).ok())?
}

/// Writes ids, sorted; DataComp's resharder and ours read them.
pub fn write_subset(path: &Path, ids: &[u128]) -> Result<()> {
    let mut writer = SubsetWriter::new(path);
    ids.iter().try_for_each(|&id| writer.push(id))?;
    writer.finish().map(drop)
}

/// How a NumPy file begins.
const MAGIC: &[u8] = b"\x93NUMPY";

/// Ids that are held before they are sorted and written aside: 256 MiB of them.
const HELD: usize = 1 << 24;

/// Takes ids in any order and writes them, sorted, in bounded memory.
pub struct SubsetWriter {
    path: PathBuf,
    held: Vec<u128>,
    most: usize,
    count: usize,
    /// Sorted runs, in files without a name.
    runs: Vec<File>,
}

impl SubsetWriter {
    /// A subset that will have this name; nothing is written until [`SubsetWriter::finish`] but
    /// what does not fit into memory.
    pub fn new(path: &Path) -> Self {
        Self::holding(path, HELD)
    }

    fn holding(path: &Path, most: usize) -> Self {
        Self { path: path.to_path_buf(), held: Vec::new(), most, count: 0, runs: Vec::new() }
    }

    /// Adds an id.
    ///
    /// # Errors
    /// When a run cannot be written to the subset's folder.
    pub fn push(&mut self, id: u128) -> Result<()> {
        if self.held.len() == self.most {
            self.spill()?;
        }
        self.count += 1;
        self.held.push(id);
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        let folder = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        self.held.sort_unstable();
        let write = || -> std::io::Result<File> {
            std::fs::create_dir_all(folder)?;
            let mut run = BufWriter::new(tempfile::tempfile_in(folder)?);
            self.held.iter().try_for_each(|id| run.write_all(&id.to_le_bytes()))?;
            let mut run = run.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            run.seek(SeekFrom::Start(0))?;
            Ok(run)
        };
        self.runs.push(write().at(folder)?);
        self.held.clear();
        Ok(())
    }

    /// Writes the file, whole or not at all; returns how many ids it has.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<u64> {
        self.held.sort_unstable();
        let path = self.path;
        let header = npy::header("[('f0', '<u8'), ('f1', '<u8')]", &[self.count]);
        let mut file = BufWriter::new(AtomicFile::create(&path)?);
        let mut put = |bytes: &[u8]| file.write_all(bytes).at(&path);
        put(&header)?;
        let mut runs: Vec<_> = self.runs.into_iter().map(BufReader::new).collect();
        let mut held = self.held.into_iter();
        let last = runs.len();
        let mut next = |at: usize| -> Result<Option<Reverse<(u128, usize)>>> {
            let id = if at == last { held.next() } else { read_id(&mut runs[at]).at(&path)? };
            Ok(id.map(|id| Reverse((id, at))))
        };
        let mut heap = BinaryHeap::with_capacity(last + 1);
        for at in 0..=last {
            heap.extend(next(at)?);
        }
        while let Some(Reverse((id, at))) = heap.pop() {
            put(&((id >> 64) as u64).to_le_bytes())?;
            put(&(id as u64).to_le_bytes())?;
            heap.extend(next(at)?);
        }
        file.into_inner().map_err(std::io::IntoInnerError::into_error).at(&path)?.commit()?;
        Ok(self.count as u64)
    }
}

/// The next id of a run; nothing at its end.
fn read_id(run: &mut impl BufRead) -> std::io::Result<Option<u128>> {
    if run.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut bytes = [0; 16];
    run.read_exact(&mut bytes)?;
    Ok(Some(u128::from_le_bytes(bytes)))
}

/// Reads ids in the order of the file.
///
/// # Errors
/// When it is no NumPy array of pairs of 64-bit numbers, or is cut.
pub fn read_subset(path: &Path) -> Result<Vec<u128>> {
    subset_ids(path)?.collect()
}

/// The same, one id after the other.
///
/// # Errors
/// As [`read_subset`].
pub fn subset_ids(path: &Path) -> Result<impl Iterator<Item = Result<u128>>> {
    let damaged = |reason: String| Error::Damaged { path: path.to_path_buf(), reason };
    let file = File::open(path).at(path)?;
    let length = file.metadata().at(path)?.len();
    let mut input = BufReader::new(file);
    if length >= MAGIC.len() as u64 && !input.fill_buf().at(path)?.starts_with(MAGIC) {
        let hint =
            "hint: a subset file is what `clip-data filter` and `subset` write: NumPy's u8,u8";
        let reason = format!("not a .npy file\n{hint}");
        return Err(Error::Spec { spec: path.display().to_string(), reason });
    }
    let head = npy::read_header(&mut input).map_err(damaged)?;
    let array = npy::parse(&head).map_err(damaged)?;
    if array.descr != "[('f0','<u8'),('f1','<u8')]" || array.fortran_order {
        return Err(damaged("the array is not of type u8,u8".into()));
    }
    let count = array.shape.iter().fold(1u64, |count, &side| count.saturating_mul(side as u64));
    let content = length.saturating_sub(head.len() as u64);
    if content != count.saturating_mul(16) {
        return Err(damaged(format!("{count} ids were written, but {content} bytes are there")));
    }
    let path = path.to_path_buf();
    Ok((0..count).map(move |_| {
        let mut halves = [[0; 8]; 2];
        halves.iter_mut().try_for_each(|half| input.read_exact(half)).at(&path)?;
        let [first, second] = halves.map(|half| u128::from(u64::from_le_bytes(half)));
        Ok(first << 64 | second)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DataComp's README: two uids, as `numpy.save` 2.4 wrote them.
    const UIDS: [&str; 2] =
        ["139e4a9b22a614771f06c700a8ebe150", "6e356964a967af455c8016b75d691203"];
    const NUMPY: &[u8] = include_bytes!("../testdata/datacomp_subset.npy");

    #[test]
    fn bytes_are_numpys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("subset.npy");
        let ids = UIDS.map(|uid| uid_number(uid).unwrap());
        write_subset(&path, &[ids[1], ids[0]]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), NUMPY);
        assert_eq!(read_subset(&path).unwrap(), ids);
    }

    #[test]
    fn ids_that_do_not_fit_into_memory_are_sorted_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("subset.npy");
        let ids: Vec<u128> = (0..1000).map(|n: u128| ((n * 7919 % 500) << 64) | (n % 3)).collect();
        let mut writer = SubsetWriter::holding(&path, 64);
        ids.iter().for_each(|&id| writer.push(id).unwrap());
        assert_eq!(writer.finish().unwrap(), 1000);
        let mut sorted = ids;
        sorted.sort_unstable();
        assert_eq!(read_subset(&path).unwrap(), sorted);
        // Runs leave nothing behind.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_subset_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("subset.npy");
        let floats = npy::header("'<f8'", &[2]);
        for (bytes, reason) in [
            (&NUMPY[..4], "cut .npy header"),
            (&NUMPY[..60], "cut .npy header"),
            (&NUMPY[..NUMPY.len() - 3], "29 bytes"),
            (&*floats, "not of type u8,u8"),
            (b"PK\x03\x04 a zip archive", "not a .npy file"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = read_subset(&path).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("subset.npy"), "{error}");
        }
        assert_eq!(uid_number("xyz"), None);
        assert_eq!(uid_number(&"+".repeat(32)), None);
    }
}
