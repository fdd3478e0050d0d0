//! Records of a few numbers on disk: lists of them, and sorting more than memory holds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::slice::ParallelSliceMut;

use crate::{Error, Result};

/// Bytes of a file that are read or written at a time.
const BUFFER: usize = 1 << 17;

/// Numbers that belong together, ordered by the first, then the second, and so on.
pub(super) type Record<const N: usize> = [u64; N];

/// Where records are stored, and what one sort may hold of them.
#[derive(Debug, Clone)]
pub(super) struct Scratch {
    folder: PathBuf,
    /// Bytes.
    memory: usize,
}

impl Scratch {
    pub fn new(folder: &Path, memory: usize) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        Ok(Self { folder: folder.to_path_buf(), memory })
    }

    /// A path for a file that is removed with its last owner.
    pub fn file(&self, extension: &str) -> TemporaryFile {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Array jobs share the folder.
        let name = format!("dedup-{}-{number}.{extension}", std::process::id());
        TemporaryFile(self.folder.join(name))
    }

    /// How many records of `N` numbers memory may hold.
    pub fn limit<const N: usize>(&self) -> usize {
        (self.memory / (8 * N)).max(16)
    }
}

/// A file that is removed when it is dropped.
#[derive(Debug)]
pub(super) struct TemporaryFile(PathBuf);

impl TemporaryFile {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // What a killed process leaves goes with the scratch folder.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Records in a file, in the order in which they were pushed.
#[derive(Debug)]
pub(super) struct List<const N: usize> {
    file: TemporaryFile,
    count: u64,
}

/// A list that is being written.
pub(super) struct ListWriter<const N: usize> {
    file: TemporaryFile,
    writer: BufWriter<File>,
    count: u64,
}

impl<const N: usize> ListWriter<N> {
    pub fn new(scratch: &Scratch) -> Result<Self> {
        let file = scratch.file("records");
        let writer = File::create(file.path()).map_err(|e| Error::io(file.path(), e))?;
        Ok(Self { file, writer: BufWriter::with_capacity(BUFFER, writer), count: 0 })
    }

    pub fn push(&mut self, record: Record<N>) -> Result<()> {
        self.count += 1;
        for number in record {
            let written = self.writer.write_all(&number.to_le_bytes());
            written.map_err(|e| Error::io(self.file.path(), e))?;
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<List<N>> {
        self.writer.flush().map_err(|e| Error::io(self.file.path(), e))?;
        Ok(List { file: self.file, count: self.count })
    }
}

impl<const N: usize> List<N> {
    pub fn len(&self) -> u64 {
        self.count
    }

    pub fn read(&self) -> Result<Records<N>> {
        let path = self.file.path();
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let reader = BufReader::with_capacity(BUFFER, file);
        Ok(Records { path: path.to_path_buf(), reader, left: self.count })
    }
}

/// The records of a list.
pub(super) struct Records<const N: usize> {
    path: PathBuf,
    reader: BufReader<File>,
    left: u64,
}

impl<const N: usize> Iterator for Records<N> {
    type Item = Result<Record<N>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut record = [0; N];
        for number in &mut record {
            let mut bytes = [0; 8];
            if let Err(e) = self.reader.read_exact(&mut bytes) {
                self.left = 0;
                return Some(Err(Error::io(&self.path, e)));
            }
            *number = u64::from_le_bytes(bytes);
        }
        Some(Ok(record))
    }
}

/// Sorts records: what memory does not hold is written as sorted runs.
pub(super) struct Sorter<const N: usize> {
    scratch: Scratch,
    buffer: Vec<Record<N>>,
    runs: Vec<List<N>>,
}

impl<const N: usize> Sorter<N> {
    pub fn new(scratch: &Scratch) -> Self {
        Self { scratch: scratch.clone(), buffer: Vec::new(), runs: Vec::new() }
    }

    pub fn push(&mut self, record: Record<N>) -> Result<()> {
        self.buffer.push(record);
        if self.buffer.len() < self.scratch.limit::<N>() {
            return Ok(());
        }
        self.buffer.par_sort_unstable();
        let mut run = ListWriter::new(&self.scratch)?;
        for record in self.buffer.drain(..) {
            run.push(record)?;
        }
        self.runs.push(run.finish()?);
        Ok(())
    }

    /// The records in their order, each once.
    pub fn finish(mut self) -> Result<Sorted<N>> {
        self.buffer.par_sort_unstable();
        let mut sources: Vec<Source<N>> = Vec::with_capacity(self.runs.len() + 1);
        for list in self.runs {
            sources.push(Source::Run { records: list.read()?, _list: list });
        }
        sources.push(Source::Memory(self.buffer.into_iter()));
        let mut sorted = Sorted { heap: BinaryHeap::new(), sources, last: None };
        for at in 0..sorted.sources.len() {
            sorted.advance(at)?;
        }
        Ok(sorted)
    }

    /// The records in their order, each once, in a file.
    pub fn into_list(self) -> Result<List<N>> {
        let mut list = ListWriter::new(&self.scratch)?;
        for record in self.finish()? {
            list.push(record?)?;
        }
        list.finish()
    }
}

enum Source<const N: usize> {
    Run { records: Records<N>, _list: List<N> },
    Memory(std::vec::IntoIter<Record<N>>),
}

/// Sorted records.
pub(super) struct Sorted<const N: usize> {
    heap: BinaryHeap<Reverse<(Record<N>, usize)>>,
    sources: Vec<Source<N>>,
    last: Option<Record<N>>,
}

impl<const N: usize> Sorted<N> {
    fn advance(&mut self, at: usize) -> Result<()> {
        let next = match &mut self.sources[at] {
            Source::Run { records, .. } => records.next().transpose()?,
            Source::Memory(records) => records.next(),
        };
        self.heap.extend(next.map(|record| Reverse((record, at))));
        Ok(())
    }
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = Result<Record<N>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Reverse((record, at)) = self.heap.pop()?;
            if let Err(error) = self.advance(at) {
                self.heap.clear();
                return Some(Err(error));
            }
            if self.last != Some(record) {
                self.last = Some(record);
                return Some(Ok(record));
            }
        }
    }
}

/// Records in ascending order that are asked by their first number, in ascending order.
pub(super) struct Lookup<I: Iterator, const N: usize> {
    records: Peekable<I>,
}

impl<const N: usize, I: Iterator<Item = Result<Record<N>>>> Lookup<I, N> {
    pub fn new(records: I) -> Self {
        Self { records: records.peekable() }
    }

    /// The first record that begins with `number`, if there is one; the records before it are
    /// skipped.
    pub fn get(&mut self, number: u64) -> Result<Option<Record<N>>> {
        while self.records.next_if(|next| matches!(next, Ok(r) if r[0] < number)).is_some() {}
        match self.records.peek() {
            Some(Ok(record)) => Ok((record[0] == number).then_some(*record)),
            Some(Err(_)) => self.records.next().transpose(),
            None => Ok(None),
        }
    }

    /// The next record, if it begins with `number`.
    pub fn take(&mut self, number: u64) -> Result<Option<Record<N>>> {
        let found = self.get(number)?;
        if found.is_some() {
            self.records.next();
        }
        Ok(found)
    }

    /// The first number of the next record.
    pub fn peek(&mut self) -> Option<u64> {
        self.records.peek().and_then(|next| next.as_ref().ok()).map(|record| record[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_memory_sorts_alike_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let numbers: Vec<u64> = (0..5_000u64).map(|n| n.wrapping_mul(7_919) % 1_000).collect();
        let mut expected: Vec<[u64; 2]> = numbers.iter().map(|&n| [n / 10, n % 7]).collect();
        expected.sort_unstable();
        expected.dedup();
        for memory in [0, 1_000, 1 << 20] {
            let scratch = Scratch::new(folder.path(), memory).unwrap();
            let mut sorter = Sorter::new(&scratch);
            numbers.iter().for_each(|&n| sorter.push([n / 10, n % 7]).unwrap());
            let list = sorter.into_list().unwrap();
            let sorted: Vec<[u64; 2]> = list.read().unwrap().map(Result::unwrap).collect();
            assert_eq!((list.len(), &sorted), (expected.len() as u64, &expected), "{memory} bytes");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn records_are_found_by_their_first_number() {
        let records = || [[3, 1], [5, 0], [5, 2], [9, 4]].map(Ok).into_iter();
        let mut lookup = Lookup::new(records());
        let asked = [1, 3, 4, 5, 5, 8, 9, 10].map(|n| lookup.get(n).unwrap().map(|r| r[1]));
        assert_eq!(asked, [None, Some(1), None, Some(0), Some(0), None, Some(4), None]);
        let mut lookup = Lookup::new(records());
        let taken = [5, 5, 5, 9].map(|n| lookup.take(n).unwrap().map(|r| r[1]));
        assert_eq!(taken, [Some(0), Some(2), None, Some(4)]);
    }
}
