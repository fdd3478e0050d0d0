//! LevelDB's log format, as W&B's files have it: records in blocks of 32 KB.

use std::io::{self, Read};

use crate::protobuf::crc32;

const BLOCK: usize = 32 << 10;
/// Bytes before each chunk: checksum, length, kind.
const HEADER: usize = 7;
const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// zlib's, and not LevelDB's own.
fn checksum(kind: u8, chunk: &[u8]) -> u32 {
    crc32(0xedb8_8320, [kind].into_iter().chain(chunk.iter().copied()))
}

/// A record as it is written from byte `at` of a file on.
pub(super) fn framed(at: u64, mut record: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut first = true;
    loop {
        let mut left = BLOCK - (at as usize + out.len()) % BLOCK;
        if left < HEADER {
            out.resize(out.len() + left, 0);
            left = BLOCK;
        }
        let (chunk, rest) = record.split_at(record.len().min(left - HEADER));
        let kind = match (first, rest.is_empty()) {
            (true, true) => FULL,
            (true, false) => FIRST,
            (false, false) => MIDDLE,
            (false, true) => LAST,
        };
        out.extend(checksum(kind, chunk).to_le_bytes());
        out.extend((chunk.len() as u16).to_le_bytes());
        out.push(kind);
        out.extend(chunk);
        if rest.is_empty() {
            return out;
        }
        (record, first) = (rest, false);
    }
}

/// The records of a file.
pub(super) struct Records<R> {
    reader: R,
    at: u64,
}

impl<R: Read> Records<R> {
    /// Those from byte `at` on, where the reader is.
    pub fn new(reader: R, at: u64) -> Self {
        Self { reader, at }
    }

    /// The next record with the byte at which it ends; none where no whole one follows.
    pub fn next(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        let mut record = Vec::new();
        let mut begun = false;
        loop {
            let left = BLOCK - self.at as usize % BLOCK;
            if left < HEADER {
                // The padding of a block.
                if self.read(left)?.len() < left {
                    return Ok(None);
                }
                continue;
            }
            let header = self.read(HEADER)?;
            let &[a, b, c, d, low, high, kind] = header.as_slice() else { return Ok(None) };
            let length = usize::from(u16::from_le_bytes([low, high]));
            let chunk = self.read(length)?;
            let whole = chunk.len() == length && HEADER + length <= left;
            if !whole || checksum(kind, &chunk) != u32::from_le_bytes([a, b, c, d]) {
                return Ok(None);
            }
            record.extend(chunk);
            match (kind, begun) {
                (FULL, false) | (LAST, true) => return Ok(Some((self.at, record))),
                (FIRST, false) | (MIDDLE, true) => begun = true,
                _ => return Ok(None),
            }
        }
    }

    /// Up to `count` bytes: fewer at the end.
    fn read(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(count);
        self.at += self.reader.by_ref().take(count as u64).read_to_end(&mut bytes)? as u64;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_all_lengths_come_back() {
        let head = 7;
        let mut file = vec![0; head];
        let lengths = [0, 5, BLOCK - 40, 1, 9, 3 * BLOCK, BLOCK - 3, 100];
        let record = |length: usize| -> Vec<u8> { (0..length).map(|i| (i % 251) as u8).collect() };
        for length in lengths {
            let framed = framed(file.len() as u64, &record(length));
            file.extend(framed);
        }
        let mut records = Records::new(&file[head..], head as u64);
        for length in lengths {
            assert_eq!(records.next().unwrap().unwrap().1, record(length));
        }
        assert_eq!(records.next().unwrap(), None);
        assert_eq!(records.at, file.len() as u64);
    }

    #[test]
    fn what_is_cut_or_changed_is_no_record() {
        let mut file = framed(0, b"one");
        let end = file.len();
        let second = framed(end as u64, &[7].repeat(50_000));
        file.extend(second);
        for change in [end, end + 3, end + 20, file.len() - 1] {
            let mut changed = file.clone();
            changed[change] ^= 1;
            for file in [&changed[..], &file[..change]] {
                let mut records = Records::new(file, 0);
                assert_eq!(records.next().unwrap(), Some((end as u64, b"one".to_vec())));
                assert_eq!(records.next().unwrap(), None, "{change}");
            }
        }
    }
}
