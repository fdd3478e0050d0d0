//! Files of records through several workers, whatever the file is packed with.
//!
//! The file is cut into chunks anywhere; a worker takes the whole records of its chunk, and what
//! is at the cuts is put together in order. The streams of a multistream bzip2 file are chunks
//! that workers unpack.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use clip_guard::read_whole;
use memchr::memmem;

use crate::open::{Packing, Watched, failure, open};
use crate::{Error, Result};

/// Unpacked bytes of a chunk.
const CHUNK: usize = 4 << 20;
/// Packed bytes that a stream of a multistream file may have; a longer one is unpacked as it is
/// read.
const STREAM: usize = 8 << 20;
/// What a stream may unpack to: a hundred pages of a multistream dump have some megabytes.
const UNPACKED: u64 = 1 << 30;
/// A bzip2 stream begins so, after `BZh` and a digit.
const BLOCK: &[u8] = b"1AY&SY";

/// What records look like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Records {
    /// What a record ends with.
    pub(crate) end: &'static [u8],
    /// Longest record; what is longer is cut at a space, or an error where `cut` is false.
    pub(crate) longest: usize,
    pub(crate) cut: bool,
}

const WHOLE: &str = "get the file again, and compare its size with the one it should have";

struct Chunk {
    at: usize,
    bytes: Vec<u8>,
    packed: bool,
}

/// Gives whole records, some at a time, to `work`; returns what is after the last record.
pub(crate) fn pump<W: Send>(
    path: &Path,
    records: Records,
    workers: &mut [W],
    advance: &(dyn Fn(u64) + Sync),
    work: impl Fn(&mut W, &[u8]) -> Result<()> + Sync,
) -> Result<Vec<u8>> {
    let (file, packing) = open(path)?;
    let file = Watched { inner: file, advance };
    let (give, take) = crossbeam_channel::bounded::<Chunk>(workers.len() + 1);
    let edges = Mutex::new(Edges::new(records));
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for worker in &mut *workers {
            let (take, edges, failed, work) = (take.clone(), &edges, &failed, &work);
            scope.spawn(move || {
                for chunk in take {
                    let done = consume(path, chunk, records, edges, |bytes| work(worker, bytes));
                    if let Err(error) = done {
                        lock(failed).get_or_insert(error);
                        return;
                    }
                }
            });
        }
        drop(take);
        // A closed channel means that every worker failed.
        let mut send = |chunk| lock(&failed).is_none() && give.send(chunk).is_ok();
        let read = match packing {
            Packing::Bzip2 => streams(file, &mut send),
            packing => pieces(packing.unpack(file), 0, &mut send),
        };
        if let Err(error) = read {
            lock(&failed).get_or_insert(failure(path, error, WHOLE));
        }
        drop(give);
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    Ok(edges.into_inner().unwrap_or_else(PoisonError::into_inner).carry)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn consume(
    path: &Path,
    chunk: Chunk,
    records: Records,
    edges: &Mutex<Edges>,
    mut work: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut bytes = chunk.bytes;
    if chunk.packed {
        let packed = std::mem::take(&mut bytes);
        let unpacked = read_whole(Packing::Bzip2.unpack(&packed[..]), UNPACKED);
        bytes = unpacked.map_err(|e| failure(path, e, WHOLE))?;
    }
    let first = memmem::find(&bytes, records.end).map(|at| at + records.end.len());
    let last = memmem::rfind(&bytes, records.end).map(|at| at + records.end.len());
    let edge = match (first, last) {
        (Some(first), Some(last)) => {
            Edge::Cut { head: bytes[..first].to_vec(), tail: bytes[last..].to_vec() }
        }
        _ => Edge::Inside(std::mem::take(&mut bytes)),
    };
    let joined = lock(edges).put(path, chunk.at, edge)?;
    joined.iter().try_for_each(|record| work(record))?;
    match (first, last) {
        (Some(first), Some(last)) if last > first => work(&bytes[first..last]),
        _ => Ok(()),
    }
}

/// What a chunk leaves at its ends.
enum Edge {
    /// No record ends in it.
    Inside(Vec<u8>),
    Cut {
        head: Vec<u8>,
        tail: Vec<u8>,
    },
}

/// Puts together, in order, what the cuts took apart.
struct Edges {
    records: Records,
    next: usize,
    waiting: BTreeMap<usize, Edge>,
    carry: Vec<u8>,
}

impl Edges {
    fn new(records: Records) -> Self {
        Self { records, next: 0, waiting: BTreeMap::new(), carry: Vec::new() }
    }

    /// Takes a chunk's edge; returns the records that are whole now.
    fn put(&mut self, path: &Path, at: usize, edge: Edge) -> Result<Vec<Vec<u8>>> {
        self.waiting.insert(at, edge);
        let mut whole = Vec::new();
        while let Some(edge) = self.waiting.remove(&self.next) {
            self.next += 1;
            match edge {
                Edge::Inside(bytes) => self.carry.extend(bytes),
                Edge::Cut { head, tail } => {
                    self.carry.extend(head);
                    whole.push(std::mem::replace(&mut self.carry, tail));
                }
            }
            // The end of a record may itself have been cut.
            while let Some(found) = memmem::find(&self.carry, self.records.end) {
                let rest = self.carry.split_off(found + self.records.end.len());
                whole.push(std::mem::replace(&mut self.carry, rest));
            }
            if self.carry.len() > self.records.longest {
                if !self.records.cut {
                    let reason = format!("a record of more than {} bytes", self.records.longest);
                    return Err(Error::file(path, reason, "is this the right kind of file?"));
                }
                let space = self.carry.iter().rposition(u8::is_ascii_whitespace);
                let rest = self.carry.split_off(space.map_or(self.carry.len(), |at| at + 1));
                whole.push(std::mem::replace(&mut self.carry, rest));
            }
        }
        Ok(whole)
    }
}

/// Reads unpacked pieces until the end, or until the receiver is gone.
fn pieces(
    mut input: impl Read,
    first: usize,
    send: &mut dyn FnMut(Chunk) -> bool,
) -> std::io::Result<()> {
    for at in first.. {
        let mut bytes = Vec::with_capacity(CHUNK);
        input.by_ref().take(CHUNK as u64).read_to_end(&mut bytes)?;
        if bytes.is_empty() || !send(Chunk { at, bytes, packed: false }) {
            break;
        }
    }
    Ok(())
}

/// Cuts a bzip2 file at the beginnings of its streams.
fn streams(mut file: impl Read + Send, send: &mut dyn FnMut(Chunk) -> bool) -> std::io::Result<()> {
    let mut held = Vec::new();
    for at in 0.. {
        let mut looked = 4;
        loop {
            if let Some(next) = next_stream(&held, looked) {
                let rest = held.split_off(next);
                let bytes = std::mem::replace(&mut held, rest);
                if !send(Chunk { at, bytes, packed: true }) {
                    return Ok(());
                }
                break;
            }
            if held.len() > STREAM {
                let unpacked = Packing::Bzip2.unpack(Cursor::new(held).chain(file));
                return pieces(unpacked, at, send);
            }
            looked = held.len().saturating_sub(BLOCK.len() + 4).max(4);
            if file.by_ref().take(1 << 20).read_to_end(&mut held)? == 0 {
                if !held.is_empty() {
                    send(Chunk { at, bytes: held, packed: true });
                }
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Where a stream after the first begins, looking from `from` on.
fn next_stream(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = memmem::find(bytes.get(at..)?, BLOCK) {
        let block = at + found;
        if block > 4 && matches!(&bytes[block - 4..block], [b'B', b'Z', b'h', b'1'..=b'9']) {
            return Some(block - 4);
        }
        at = block + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const LINES: Records = Records { end: b"\n", longest: 64 << 20, cut: true };

    fn lines(path: &Path, workers: usize) -> Result<Vec<String>> {
        let mut found = vec![Vec::new(); workers];
        let rest = pump(path, LINES, &mut found, &|_| (), |found: &mut Vec<u8>, bytes| {
            found.extend(bytes);
            Ok(())
        })?;
        found.push(rest);
        let text = found.into_iter().map(|bytes| String::from_utf8(bytes).unwrap());
        let mut lines: Vec<String> =
            text.flat_map(|t| t.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        lines.sort();
        Ok(lines)
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(1));
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn every_record_comes_once_however_the_file_is_packed_and_cut() {
        let folder = tempfile::tempdir().unwrap();
        let text: String = (0..900_000).map(|i| format!("line {i}\n")).collect::<String>() + "last";
        let mut expected: Vec<String> = text.lines().map(str::to_owned).collect();
        expected.sort();
        // Streams that end inside lines, as pbzip2 makes them, and one without a line end.
        let multi: Vec<u8> = text.as_bytes().chunks(700_001).flat_map(packed).collect();
        let tiny: Vec<u8> = "a\nlong line\nb".as_bytes().chunks(4).flat_map(packed).collect();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        for (name, bytes) in [
            ("plain", text.clone().into_bytes()),
            ("gzip", gzip.finish().unwrap()),
            ("multi", multi),
            ("single", packed(text.as_bytes())),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            assert!(lines(&path, 3).unwrap() == expected, "{name}");
        }
        let path = folder.path().join("tiny");
        std::fs::write(&path, tiny).unwrap();
        assert_eq!(lines(&path, 2).unwrap(), ["a", "b", "long line"]);
    }

    #[test]
    fn a_file_that_is_cut_off_is_reported_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump.bz2");
        let mut bytes = packed(&b"some text\n".repeat(1000));
        bytes.extend(packed(&b"more text\n".repeat(1000)));
        std::fs::write(&path, &bytes[..bytes.len() - 20]).unwrap();
        let message = lines(&path, 2).unwrap_err().to_string();
        assert!(message.contains("dump.bz2: the file is cut off"), "{message}");
        assert!(message.contains("hint: "), "{message}");
        bytes[60..70].fill(0);
        std::fs::write(&path, &bytes).unwrap();
        let message = lines(&path, 2).unwrap_err().to_string();
        assert!(message.contains("damaged"), "{message}");
    }
}
