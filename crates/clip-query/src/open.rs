//! Opening text, packed or not: what a file is packed with is in its first bytes.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use bzip2::read::MultiBzDecoder;
use clip_guard::{Line, read_line};
use flate2::read::MultiGzDecoder;

use crate::{Error, Result};

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Bzip2,
}

impl Packing {
    fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            _ => Self::Plain,
        }
    }

    pub(crate) fn unpack<'a>(self, input: impl Read + Send + 'a) -> Box<dyn Read + Send + 'a> {
        match self {
            Self::Plain => Box::new(input),
            Self::Gzip => Box::new(MultiGzDecoder::new(input)),
            Self::Bzip2 => Box::new(MultiBzDecoder::new(input)),
        }
    }
}

/// Opens a file and says how it is packed; nothing is unpacked yet.
pub(crate) fn open(path: &Path) -> Result<(BufReader<File>, Packing)> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let packing = Packing::of(reader.fill_buf().map_err(|e| Error::io(path, e))?);
    Ok((reader, packing))
}

/// Refuses a table by its name where text is wanted: its other columns would count as text.
pub(crate) fn refuse_table(path: &Path, endings: &[&str], hint: &'static str) -> Result<()> {
    let name = path.to_string_lossy().to_lowercase();
    let plain = [".gz", ".bz2"].into_iter().find_map(|packed| name.strip_suffix(packed));
    let ending = Path::new(plain.unwrap_or(&name)).extension().and_then(|ending| ending.to_str());
    match ending.filter(|ending| endings.contains(ending)) {
        Some(_) => Err(Error::file(path, "it is a table, not text", hint)),
        None => Ok(()),
    }
}

/// An input that came to an early end, or another failure to read.
pub(crate) fn failure(path: &Path, error: std::io::Error, whole: &'static str) -> Error {
    use std::io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    match error.kind() {
        UnexpectedEof => {
            Error::file(path, "the file is cut off: its packed data has no end", whole)
        }
        InvalidData | InvalidInput | Other => {
            Error::file(path, format!("its packed data is damaged: {error}"), whole)
        }
        _ => Error::io(path, error),
    }
}

/// Calls `each` for every line of a file, packed or not, with its number from 1, as bytes without
/// line end.
pub(crate) fn each_line(
    path: &Path,
    advance: &(dyn Fn(u64) + Sync),
    mut each: impl FnMut(usize, &[u8]) -> Result<()>,
) -> Result<()> {
    let (file, packing) = open(path)?;
    let file = Watched { inner: file, advance };
    let mut reader = BufReader::with_capacity(1 << 18, packing.unpack(file));
    let mut line = Vec::new();
    for number in 1.. {
        let read = read_line(&mut reader, &mut line);
        match read.map_err(|e| failure(path, e, "get the file again, and compare its size"))? {
            Line::End => break,
            Line::TooLong(length) => return Err(Error::line(path, number, Line::reason(length))),
            Line::Whole => {}
        }
        while let Some(b'\n' | b'\r') = line.last() {
            line.pop();
        }
        each(number, &line)?;
    }
    Ok(())
}

/// A reader that reports its position.
pub(crate) struct Watched<'a, R> {
    pub(crate) inner: R,
    pub(crate) advance: &'a (dyn Fn(u64) + Sync),
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        (self.advance)(read as u64);
        Ok(read)
    }
}
