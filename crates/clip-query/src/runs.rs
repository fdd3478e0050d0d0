//! Sorted runs of counts in memory or on disk, and their merge: counting in bounded memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Cursor, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Error, Result};

/// A file without a name for runs that do not fit into memory: it goes with the process, however
/// that ends.
pub(crate) struct Scratch {
    folder: PathBuf,
    file: Arc<File>,
    length: u64,
}

impl Scratch {
    /// A new file inside `folder`.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(folder).map_err(|e| Error::io(folder, e))?;
        Ok(Self { folder: folder.to_path_buf(), file: Arc::new(file), length: 0 })
    }

    /// Writes a run behind those that are there.
    fn append<K: Key>(&mut self, counts: impl IntoIterator<Item = (K, u64)>) -> Result<SortedRun> {
        let from = self.length;
        let write = || {
            let mut out = BufWriter::with_capacity(1 << 18, &*self.file);
            encode(counts, &mut out)?;
            out.flush()?;
            (&*self.file).stream_position()
        };
        let at = write().map_err(|e| Error::io(&self.folder, e))?;
        self.length = at;
        Ok(SortedRun::Disk(Slice { file: self.file.clone(), at: from, end: at }))
    }
}

/// A part of a file, read from its beginning by every reader on its own.
#[derive(Clone)]
pub(crate) struct Slice {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min((self.end - self.at) as usize);
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// What a run is sorted by.
pub(crate) trait Key: Ord + Sized {
    /// Writes it.
    fn put(&self, out: &mut dyn Write) -> std::io::Result<()>;
    /// Reads one; nothing at the end.
    fn take(input: &mut dyn Read) -> std::io::Result<Option<Self>>;
}

/// Two words by their hashes.
impl Key for u128 {
    fn put(&self, out: &mut dyn Write) -> std::io::Result<()> {
        out.write_all(&self.to_le_bytes())
    }

    fn take(input: &mut dyn Read) -> std::io::Result<Option<Self>> {
        let mut bytes = [0; 16];
        Ok(full(input, &mut bytes)?.then(|| Self::from_le_bytes(bytes)))
    }
}

/// A word with its hash, by the hash.
impl Key for (u64, Box<str>) {
    fn put(&self, out: &mut dyn Write) -> std::io::Result<()> {
        out.write_all(&self.0.to_le_bytes())?;
        put_number(out, self.1.len() as u64)?;
        out.write_all(self.1.as_bytes())
    }

    fn take(input: &mut dyn Read) -> std::io::Result<Option<Self>> {
        let mut hash = [0; 8];
        if !full(input, &mut hash)? {
            return Ok(None);
        }
        let mut word = vec![0; take_number(input)? as usize];
        input.read_exact(&mut word)?;
        let word = String::from_utf8(word).map_err(|_| std::io::ErrorKind::InvalidData)?;
        Ok(Some((u64::from_le_bytes(hash), word.into())))
    }
}

/// Fills the buffer, or finds the input at its end.
fn full(input: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    let read = input.read(buffer)?;
    if read == 0 {
        return Ok(false);
    }
    input.read_exact(&mut buffer[read..])?;
    Ok(true)
}

fn put_number(out: &mut dyn Write, mut number: u64) -> std::io::Result<()> {
    let mut bytes = [0; 10];
    let mut length = 0;
    while number >= 0x80 {
        bytes[length] = number as u8 | 0x80;
        length += 1;
        number >>= 7;
    }
    bytes[length] = number as u8;
    out.write_all(&bytes[..=length])
}

fn take_number(input: &mut dyn Read) -> std::io::Result<u64> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        number |= u64::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] < 0x80 || shift > 63 {
            return Ok(number);
        }
    }
}

/// Counts by ascending key, each key once.
pub(crate) enum SortedRun {
    Memory(Vec<u8>),
    Disk(Slice),
}

impl SortedRun {
    /// Writes ascending counts, adding up those of equal keys: to disk where a scratch file is
    /// given.
    pub(crate) fn write<K: Key>(
        counts: impl IntoIterator<Item = (K, u64)>,
        scratch: Option<&mut Scratch>,
    ) -> Result<Self> {
        if let Some(scratch) = scratch {
            return scratch.append(counts);
        }
        let mut bytes = Vec::new();
        encode(counts, &mut bytes).map_err(|e| Error::io(Path::new("memory"), e))?;
        Ok(Self::Memory(bytes))
    }

    fn open(&self) -> Box<dyn Read + '_> {
        match self {
            Self::Memory(bytes) => Box::new(Cursor::new(bytes)),
            Self::Disk(slice) => Box::new(BufReader::with_capacity(1 << 18, slice.clone())),
        }
    }
}

fn encode<K: Key>(
    counts: impl IntoIterator<Item = (K, u64)>,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let mut last: Option<(K, u64)> = None;
    for (key, count) in counts {
        match &mut last {
            Some((same, sum)) if *same == key => *sum += count,
            _ => {
                if let Some((key, sum)) = last.replace((key, count)) {
                    key.put(out)?;
                    put_number(out, sum)?;
                }
            }
        }
    }
    if let Some((key, sum)) = last {
        key.put(out)?;
        put_number(out, sum)?;
    }
    Ok(())
}

/// Calls `each` with every key of all runs, ascending, and the sum of its counts.
pub(crate) fn merge<K: Key>(runs: &[SortedRun], mut each: impl FnMut(K, u64)) -> Result<()> {
    let mut inputs: Vec<_> = runs.iter().map(SortedRun::open).collect();
    let mut next = |at: usize| -> Result<Option<Reverse<(K, usize, u64)>>> {
        let read = K::take(&mut inputs[at]).and_then(|key| match key {
            Some(key) => Ok(Some((key, take_number(&mut inputs[at])?))),
            None => Ok(None),
        });
        let read = read.map_err(|e| Error::io(Path::new("counts on disk"), e))?;
        Ok(read.map(|(key, count)| Reverse((key, at, count))))
    };
    let mut heap = BinaryHeap::with_capacity(runs.len());
    for at in 0..runs.len() {
        heap.extend(next(at)?);
    }
    let mut open: Option<(K, u64)> = None;
    while let Some(mut top) = heap.peek_mut() {
        let at = top.0.1;
        let Reverse((key, _, count)) = match next(at)? {
            Some(following) => std::mem::replace(&mut *top, following),
            None => std::collections::binary_heap::PeekMut::pop(top),
        };
        match &mut open {
            Some((same, sum)) if *same == key => *sum += count,
            _ => {
                if let Some((key, sum)) = open.replace((key, count)) {
                    each(key, sum);
                }
            }
        }
    }
    if let Some((key, sum)) = open {
        each(key, sum);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn merged_runs_are_the_counts_of_all(
            mut runs in prop::collection::vec(prop::collection::vec((0u128..50, 1u64..300), 0..40), 0..6)) {
            let mut scratch = Scratch::new(&std::env::temp_dir()).unwrap();
            let mut expected = BTreeMap::new();
            let mut written = Vec::new();
            for (at, run) in runs.iter_mut().enumerate() {
                run.sort_unstable();
                run.iter().for_each(|&(key, count)| *expected.entry(key).or_insert(0) += count);
                let disk = (at % 2 == 0).then_some(&mut scratch);
                written.push(SortedRun::write(run.iter().copied(), disk).unwrap());
            }
            let mut found = Vec::new();
            merge(&written, |key: u128, count| found.push((key, count))).unwrap();
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn counts_on_disk_have_no_name_that_could_stay() {
        let folder = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::new(folder.path()).unwrap();
        let run = SortedRun::write((0..1000u128).map(|key| (key, 1)), Some(&mut scratch)).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut sum = 0;
        merge(&[run], |_: u128, count| sum += count).unwrap();
        assert_eq!(sum, 1000);
    }

    #[test]
    fn words_survive_the_way_through_a_run() {
        let words: Vec<((u64, Box<str>), u64)> =
            vec![((1, "a".into()), 3), ((2, "".into()), 1 << 40), ((2, "naïve".into()), 1)];
        let run = SortedRun::write(words.clone(), None).unwrap();
        let mut found = Vec::new();
        merge(&[run], |key: (u64, Box<str>), count| found.push((key, count))).unwrap();
        assert_eq!(found, words);
    }
}
