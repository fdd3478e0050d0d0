//! WARC records (ISO 28500) in gzip members, from any byte of a file on.

use std::io::{BufRead, Cursor, Read};
use std::path::Path;

use clip_pipeline::{Error, Result};
use flate2::bufread::GzDecoder;

use crate::feed::{bad, bytes};

/// Longest record: what is longer is a bomb or damage.
const LONGEST: u64 = 256 << 20;

/// Reads the records whose member starts in a range of bytes, so that ranges of a file can be read by
/// different parts and each member is read once.
pub(crate) struct Records<'a> {
    path: &'a Path,
    input: Counted,
    end: u64,
    member: Vec<u8>,
}

/// A record: its headers and content.
pub(crate) struct Record<'a> {
    head: &'a str,
    /// What follows the headers.
    pub content: &'a [u8],
}

impl Record<'_> {
    /// The value of a header, by its name as the standard spells it, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }
}

/// The value of a header line.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// Bytes of a file from some place on, with that place counted.
struct Counted {
    reader: Box<dyn BufRead + Send>,
    at: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount as u64;
        self.reader.consume(amount);
    }
}

impl<'a> Records<'a> {
    /// The members that start at `from` or later, and before `end`; of a file here or behind an address.
    pub fn open(path: &'a Path, from: u64, end: u64) -> Result<Self> {
        let io = |e| Error::io(path, e);
        let mut reader = bytes(path, from)?;
        let input = if from == 0 {
            let start = reader.fill_buf().map_err(io)?;
            if !start.is_empty() && !start.starts_with(&MAGIC[..2]) {
                return Err(bad(
                    path,
                    "not gzip\nhint: archives are read in gzip members, as crawlers write them",
                ));
            }
            Counted { reader: Box::new(reader), at: 0 }
        } else {
            next_member(reader, from).map_err(io)?
        };
        Ok(Self { path, input, end, member: Vec::new() })
    }

    /// Calls `visit` for each record until it says stop.
    pub fn each(&mut self, visit: &mut dyn FnMut(Record) -> Result<bool>) -> Result<()> {
        loop {
            let start = self.input.at;
            let ended = self.input.fill_buf().map_err(|e| Error::io(self.path, e))?.is_empty();
            if start >= self.end || ended {
                return Ok(());
            }
            self.member.clear();
            let mut member = GzDecoder::new(&mut self.input).take(LONGEST + 1);
            let read = member.read_to_end(&mut self.member);
            read.map_err(|e| bad(self.path, format!("gzip member at byte {start}: {e}")))?;
            if self.member.len() as u64 > LONGEST {
                return Err(bad(self.path, format!("gzip member at byte {start}: too long")));
            }
            let mut rest = &self.member[..];
            while let Some((record, after)) = split(rest) {
                if !visit(record)? {
                    return Ok(());
                }
                rest = after;
            }
            if rest.starts_with(b"WARC/") {
                return Err(bad(
                    self.path,
                    format!("record cut off in the member at byte {start}"),
                ));
            }
        }
    }
}

/// The first record of some bytes, and what follows it.
fn split(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let skip = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let bytes = &bytes[skip..];
    if !bytes.starts_with(b"WARC/") {
        return None;
    }
    let (head, rest) = split_head(bytes)?;
    let length: usize = header(head, "Content-Length")?.parse().ok()?;
    let content = rest.get(..length)?;
    Some((Record { head, content }, &rest[length..]))
}

/// Header lines up to the empty line, and what follows; also of an HTTP message.
pub(crate) fn split_head(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let mut at = 0;
    loop {
        let line = bytes[at..].iter().position(|&byte| byte == b'\n')?;
        if bytes[at..at + line].iter().all(|&byte| byte == b'\r') {
            // Headers should be ASCII; a line that is no UTF-8 ends what can be read of them.
            let head = match std::str::from_utf8(&bytes[..at]) {
                Ok(head) => head,
                Err(e) => std::str::from_utf8(&bytes[..e.valid_up_to()]).unwrap_or_default(),
            };
            return Some((head, &bytes[at + line + 1..]));
        }
        at += line + 1;
    }
}

/// A member's first bytes: gzip, deflated.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// Bytes of a member that show whether it is one.
const SHOWN: usize = 1 << 12;

/// Goes on to the first member at or after `from`, where `reader` stands.
fn next_member(mut reader: impl BufRead + Send + 'static, from: u64) -> std::io::Result<Counted> {
    let (mut seen, mut at, mut whole) = (Vec::new(), from, false);
    loop {
        let mut start = 0;
        while let Some(found) = memchr::memmem::find(&seen[start..], &MAGIC) {
            start += found;
            // What is too near the end of what was read is looked at with more.
            if !whole && seen.len() - start < SHOWN {
                break;
            }
            if is_member(&seen[start..]) {
                at += start as u64;
                let rest = Cursor::new(seen.split_off(start)).chain(reader);
                return Ok(Counted { reader: Box::new(rest), at });
            }
            start += 1;
        }
        if whole {
            let at = at + seen.len() as u64;
            return Ok(Counted { reader: Box::new(std::io::empty()), at });
        }
        let keep = if memchr::memmem::find(&seen[start..], &MAGIC).is_some() {
            start
        } else {
            // Two bytes of a magic may end it.
            seen.len().saturating_sub(2)
        };
        seen.drain(..keep);
        at += keep as u64;
        whole = (&mut reader).take(1 << 20).read_to_end(&mut seen)? == 0;
    }
}

/// The bytes of a magic stand in compressed data too: a member unpacks to a record's first line.
fn is_member(bytes: &[u8]) -> bool {
    let mut first = [0; 5];
    GzDecoder::new(bytes).read_exact(&mut first).is_ok() && first == *b"WARC/"
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Write;

    pub fn record(kind: &str, uri: &str, content: &[u8]) -> Vec<u8> {
        let head = format!(
            "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {uri}\r\nContent-Length: {}\r\n\r\n",
            content.len()
        );
        [head.as_bytes(), content, b"\r\n\r\n"].concat()
    }

    pub fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn names(path: &Path, from: u64, end: u64) -> Vec<String> {
        let mut names = Vec::new();
        let mut records = Records::open(path, from, end).unwrap();
        records
            .each(&mut |record| {
                names.push(record.header("warc-target-uri").unwrap().to_owned());
                Ok(true)
            })
            .unwrap();
        names
    }

    #[test]
    fn ranges_of_any_size_give_each_record_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.warc.gz");
        let members: Vec<Vec<u8>> = (0..40)
            .map(|i| gz(&record("response", &format!("u{i}"), &[0x1f, 0x8b, 8].repeat(i * 7))))
            .collect();
        let bytes = members.concat();
        std::fs::write(&path, &bytes).unwrap();
        let all = names(&path, 0, u64::MAX);
        assert_eq!(all.len(), 40);
        for size in [1usize, 97, 500, 1500, bytes.len()] {
            let ranges = (0..bytes.len()).step_by(size);
            let split = ranges.flat_map(|from| names(&path, from as u64, (from + size) as u64));
            assert_eq!(split.collect::<Vec<_>>(), all, "ranges of {size}");
        }
    }

    #[test]
    fn damage_is_named_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cut.gz");
        let whole = gz(&record("response", "u", b"0123456789"));
        for (bytes, words) in [
            (whole[..whole.len() - 9].to_vec(), "gzip member at byte 0"),
            (gz(b"WARC/1.0\r\nContent-Length: 99\r\n\r\nshort"), "record cut off"),
            (b"WARC/1.0 plain".to_vec(), "not gzip"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let read =
                Records::open(&path, 0, u64::MAX).and_then(|mut r| r.each(&mut |_| Ok(true)));
            let message = read.unwrap_err().to_string();
            assert!(message.contains("cut.gz") && message.contains(words), "{message}");
        }
    }
}
