//! WARC records (ISO 28500) in gzip members, from any byte of a file on.
//!
//! Damage costs what it covers: reading resumes at the next member, or at the next record within
//! one, and what was lost is given as [`Event::Lost`]. Zeros and ends of lines between members are
//! padding.

use std::borrow::Cow;
use std::io::{BufRead, Read};
use std::path::Path;

use clip_pipeline::{Error, Result};
use flate2::bufread::GzDecoder;

use crate::message::{header, split_head};
use crate::pair_reader::{bytes, other_kind};

/// Longest record: what is longer is a bomb or damage.
const LONGEST: u64 = 256 << 20;
/// Bytes by which writers get the length of a record wrong.
const SLACK: usize = 64;

/// Reads the records whose member starts in a range of bytes, so that ranges of a file can be read
/// by different parts and each member is read once.
pub(crate) struct Records<'a> {
    path: &'a Path,
    input: Input,
    end: u64,
    member: Vec<u8>,
}

/// What is found in an archive.
pub(crate) enum Event<'a> {
    Record(Record<'a>),
    /// Bytes that could not be read: where they are, and why.
    Lost(String),
}

/// A record: its headers and content.
pub(crate) struct Record<'a> {
    head: Cow<'a, str>,
    /// What follows the headers.
    pub content: &'a [u8],
}

impl Record<'_> {
    /// The value of a header, by its name as the standard spells it, in any case.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        header(&self.head, name)
    }
}

/// Called for each event; it says whether more are wanted.
type Visit<'a> = dyn FnMut(Event) -> Result<bool> + 'a;

impl<'a> Records<'a> {
    /// The members that start at `from` or later, and before `end`; of a file here or behind an
    /// URL.
    pub fn open(path: &'a Path, from: u64, end: u64) -> Result<Self> {
        let io = |e| Error::io(path, e);
        let mut input = Input::open(path, from)?;
        if from > 0 {
            input.next_member().map_err(io)?;
        } else if input.peek(5).map_err(io)?.starts_with(b"WARC/") {
            let hint = "hint: archives are read in gzip members: gzip each record, as crawlers do";
            return Err(other_kind(path, format!("not gzip\n{hint}")));
        }
        Ok(Self { path, input, end, member: Vec::new() })
    }

    /// Calls `visit` for each record and each loss until it says stop.
    pub fn each(&mut self, visit: &mut Visit) -> Result<()> {
        let path = self.path;
        let io = |e| Error::io(path, e);
        loop {
            let start = self.input.at;
            let head = self.input.peek(SHOWN).map_err(io)?;
            // A member behind the range is the next part's; what is none there would be found by
            // neither.
            if head.is_empty() || (start >= self.end && is_member(head)) {
                return Ok(());
            }
            let lost = if start >= self.end || !head.starts_with(&MAGIC) {
                let padding = self.input.next_member().map_err(io)?;
                if start == 0 && !padding && self.input.peek(1).map_err(io)?.is_empty() {
                    return Err(no_archive(path, "no gzip member is in it"));
                }
                (!padding).then(|| "no gzip member".to_owned())
            } else {
                match self.unpack()? {
                    Ok(()) if !records(path, &self.member, start, visit)? => return Ok(()),
                    Ok(()) => None,
                    Err(fault) => {
                        self.input = Input::open(path, start + 1)?;
                        self.input.next_member().map_err(io)?;
                        Some(fault)
                    }
                }
            };
            if let Some(fault) = lost {
                let (file, end) = (path.display(), self.input.at);
                let loss = format!("{file}: bytes {start} to {end} are damaged: {fault}");
                if !visit(Event::Lost(loss))? {
                    return Ok(());
                }
            }
        }
    }

    /// Reads the next member; what is wrong with it, in words. A source that fails is an error.
    fn unpack(&mut self) -> Result<std::result::Result<(), String>> {
        self.member.clear();
        let mut member = GzDecoder::new(&mut self.input).take(LONGEST + 1);
        let read = member.read_to_end(&mut self.member);
        if let Some(fault) = self.input.fault.take() {
            return Err(Error::io(self.path, fault));
        }
        Ok(match read {
            Ok(length) if length as u64 > LONGEST => Err("a gzip member of over 256 MiB".into()),
            Ok(_) => Ok(()),
            Err(e) => Err(format!("gzip: {e}")),
        })
    }
}

/// What was given in place of an archive. A gzip member that is whole is not damaged.
fn no_archive(path: &Path, why: &str) -> Error {
    let hint =
        "hint: WARC and WAT files are .warc.gz and .wat.gz; kind = \"list\" reads tables and lists";
    other_kind(path, format!("no archive of a crawl: {why}\n{hint}"))
}

/// The records of an unpacked member that starts at byte `at`; whether more are wanted.
fn records(path: &Path, member: &[u8], at: u64, visit: &mut Visit) -> Result<bool> {
    let mut rest = member;
    loop {
        rest = rest.trim_ascii_start();
        if is_padding(rest) {
            return Ok(true);
        }
        let event = if rest.starts_with(b"WARC/") {
            split(rest)
        } else {
            let next = next_record(rest);
            if at == 0 && next.is_none() && rest.len() == member.trim_ascii_start().len() {
                return Err(no_archive(path, "its first gzip member has no record"));
            }
            let next = next.unwrap_or(rest.len());
            (Err(format!("{next} bytes that are no record")), &rest[next..])
        };
        rest = event.1;
        let event = match event.0 {
            Ok(record) => Event::Record(record),
            Err(fault) => {
                let file = path.display();
                Event::Lost(format!("{file}: in the gzip member at byte {at}: {fault}"))
            }
        };
        if !visit(event)? {
            return Ok(false);
        }
    }
}

/// The first record of some bytes, or why it is none, and what follows it.
///
/// Where a length does not lead to a record's end, the next record is sought near it: some crawlers
/// are off by a few bytes, and a record's length may be missing or empty.
fn split(bytes: &[u8]) -> (std::result::Result<Record<'_>, String>, &[u8]) {
    let Some((head, body)) = split_head(bytes) else {
        return (Err("the head of a record is cut off".into()), &[]);
    };
    let length = header(&head, "Content-Length").and_then(|length| length.parse::<usize>().ok());
    if let Some(length) = length
        && let Some(after) = body.get(length..)
        && is_end(after)
    {
        return (Ok(Record { head, content: &body[..length] }), after);
    }
    let from = length.unwrap_or(0).saturating_sub(SLACK).min(body.len());
    let end = next_record(&body[from..]).map_or(body.len(), |next| from + next);
    match length {
        Some(length) if length > end + SLACK => {
            let fault = format!("a record of {length} bytes is cut off after {end}");
            (Err(fault), &body[end..])
        }
        Some(length) if length + SLACK < end => {
            (Ok(Record { head, content: &body[..length] }), &body[length..])
        }
        _ => (Ok(Record { head, content: without_end(&body[..end]) }), &body[end..]),
    }
}

/// Whether a record may end before these bytes.
fn is_end(after: &[u8]) -> bool {
    let after = after.trim_ascii_start();
    after.starts_with(b"WARC/") || is_padding(after)
}

/// Where the next record starts.
fn next_record(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\nWARC/").map(|end| end + 1)
}

/// Content without the two ends of lines that close a record.
fn without_end(content: &[u8]) -> &[u8] {
    let mut content = content;
    for _ in 0..2 {
        let Some(shorter) = content.strip_suffix(b"\n") else { break };
        content = shorter.strip_suffix(b"\r").unwrap_or(shorter);
    }
    content
}

fn is_padding(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, 0 | b'\r' | b'\n' | b' ' | b'\t'))
}

/// Bytes of a file from some place on, with that place counted, which can be looked at before they
/// are read.
struct Input {
    source: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// Where in the buffer reading is.
    from: usize,
    /// Where in the file reading is.
    at: u64,
    /// Why the source could not be read: a decoder's error does not show it.
    fault: Option<std::io::Error>,
}

/// A member's first bytes: gzip, deflated.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// Bytes of a member that show whether it is one.
const SHOWN: usize = 1 << 12;
/// Bytes that are read at a time.
const CHUNK: usize = 1 << 17;

impl Input {
    fn open(path: &Path, from: u64) -> Result<Self> {
        let source = Box::new(bytes(path, from)?);
        Ok(Self { source, buffer: Vec::new(), from: 0, at: from, fault: None })
    }

    /// What comes next: at least `least` bytes, or all that are left.
    fn peek(&mut self, least: usize) -> std::io::Result<&[u8]> {
        while self.buffer.len() - self.from < least {
            self.buffer.drain(..self.from);
            self.from = 0;
            let had = self.buffer.len();
            self.buffer.resize(had + CHUNK, 0);
            let read = self.source.read(&mut self.buffer[had..]);
            self.buffer.truncate(had + read.as_ref().map_or(0, |read| *read));
            match read {
                Ok(0) => break,
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => {
                    let kind = e.kind();
                    self.fault = Some(e);
                    return Err(kind.into());
                }
            }
        }
        Ok(&self.buffer[self.from..])
    }

    /// Goes to the first member from here on, or to the end; whether all before it is padding.
    fn next_member(&mut self) -> std::io::Result<bool> {
        let mut padding = true;
        loop {
            let window = self.peek(2 * SHOWN)?;
            let ended = window.len() < 2 * SHOWN;
            let found = memchr::memmem::find(window, &MAGIC);
            // What is near the end of what was read is looked at with more; two bytes of a magic
            // may end it.
            let whole = found.filter(|found| ended || window.len() - found >= SHOWN);
            let skip = found.unwrap_or(if ended { window.len() } else { window.len() - 2 });
            padding &= is_padding(&window[..skip]);
            let member = whole.is_some_and(|start| is_member(&window[start..]));
            self.consume(skip);
            if member || (ended && found.is_none()) {
                return Ok(padding);
            }
            if whole.is_some() {
                padding = false;
                self.consume(1);
            }
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.peek(1)
    }

    fn consume(&mut self, amount: usize) {
        self.from += amount;
        self.at += amount as u64;
    }
}

/// The bytes of a magic occur in compressed data too: a member unpacks to a record's first line.
fn is_member(bytes: &[u8]) -> bool {
    let mut first = Vec::new();
    // A member that is cut off after its beginning is one.
    let _ = GzDecoder::new(bytes).take(64).read_to_end(&mut first);
    first.trim_ascii_start().starts_with(b"WARC/")
}

#[cfg(test)]
pub(crate) mod tests;
