//! A Parquet file that is read no further than it reaches, whatever it claims.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use clip_format::FileKind;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::{Error, IoContext, Result};

/// Longest footer that is read: one of ten million column chunks is shorter.
const LONGEST_FOOTER: u64 = 1 << 30;
/// Bytes from its start on by which a file of another kind is known.
const START: u64 = 512;
/// How deep the structures of a footer nest, at most.
const DEEPEST: usize = 32;

/// A file of which no more is asked for than it has.
pub(crate) struct Checked {
    file: File,
    length: u64,
}

impl Checked {
    pub fn new(file: File) -> std::io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }

    /// Whether the file is of another kind that is known.
    pub fn check_kind(&self, path: &Path) -> Result<()> {
        let first = self.get_bytes(0, self.length.min(START) as usize);
        match FileKind::of(path, &first.at(path)?) {
            None | Some(FileKind::Parquet) => Ok(()),
            Some(kind) => Err(Error::WrongKind {
                path: path.to_path_buf(),
                kind,
                wanted: "a Parquet file",
                hint: "hint: give a Parquet file, or say what the file is where an option or the ending of the name does",
            }),
        }
    }

    /// Whether the lists in the footer can be as long as they say.
    pub fn check_footer(&self) -> std::result::Result<(), ParquetError> {
        // Its length in four bytes and `PAR1` are the last; what is not so is for the crate to
        // refuse.
        let Some(at) = self.length.checked_sub(8) else { return Ok(()) };
        let end = self.get_bytes(at, 8)?;
        let length = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
        let Some(start) = at.checked_sub(length) else { return Ok(()) };
        if length > LONGEST_FOOTER {
            return Err(ParquetError::General(format!("a footer of {length} bytes")));
        }
        let footer = self.get_bytes(start, length as usize)?;
        structure(&mut &footer[..], 0)
            .map_err(|stop| ParquetError::General(format!("{stop} in a footer of {length} bytes")))
    }
}

impl Length for Checked {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Checked {
    type T = PageReader;

    fn get_read(&self, start: u64) -> std::result::Result<Self::T, ParquetError> {
        Ok(PageReader { file: self.file.get_read(start)?, ends: 0 })
    }

    fn get_bytes(&self, start: u64, length: usize) -> std::result::Result<Bytes, ParquetError> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.length) {
            let (end, of) = (start.saturating_add(length as u64), self.length);
            return Err(ParquetError::EOF(format!("bytes {start} to {end} of a file of {of}")));
        }
        let mut bytes = vec![0; length];
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// How often a page's header may be read beyond the end of its file.
const ENDS: u32 = 16;

/// Reads a page's header. The crate passes over as many fields as it claims, up to 2^31, without
/// seeing that nothing is left of the file.
pub(crate) struct PageReader {
    file: BufReader<File>,
    ends: u32,
}

impl Read for PageReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            self.ends += 1;
            if self.ends > ENDS {
                let why = "the file ends within the header of a page";
                return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, why));
            }
        }
        Ok(read)
    }
}

/// Why a footer was not passed to its end. The crate passes over as many elements as are claimed,
/// up to 2^31, of which truth values take no bytes there.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("a list of {0} elements")]
    List(u64),
    #[error("what is no structure of Parquet's")]
    Malformed,
}

type Passed<T = ()> = std::result::Result<T, Stop>;

/// Passes a structure of Thrift's compact protocol.
fn structure(bytes: &mut &[u8], depth: usize) -> Passed {
    loop {
        let field = byte(bytes)?;
        if field == 0 {
            return Ok(());
        }
        if field >> 4 == 0 {
            // The number of the field, which does not follow that before it closely.
            number(bytes)?;
        }
        // A truth value is in the type of its field.
        if !matches!(field & 15, 1 | 2) {
            value(field & 15, bytes, depth)?;
        }
    }
}

fn value(kind: u8, bytes: &mut &[u8], depth: usize) -> Passed {
    match kind {
        _ if depth > DEEPEST => Err(Stop::Malformed),
        3 => byte(bytes).map(drop),
        4..=6 => number(bytes).map(drop),
        7 => skip(bytes, 8),
        8 => {
            let length = number(bytes)?;
            skip(bytes, length)
        }
        9 | 10 => {
            let head = byte(bytes)?;
            let size = if head >> 4 == 15 { number(bytes)? } else { u64::from(head >> 4) };
            // An element takes a byte at least, and a footer has no list of truth values.
            let truth = matches!(head & 15, 1 | 2) && size > 0;
            if size > bytes.len() as u64 || truth {
                return Err(Stop::List(size));
            }
            (0..size).try_for_each(|_| value(head & 15, bytes, depth + 1))
        }
        12 => structure(bytes, depth + 1),
        13 => skip(bytes, 16),
        // Parquet has no maps.
        _ => Err(Stop::Malformed),
    }
}

fn byte(bytes: &mut &[u8]) -> Passed<u8> {
    let (first, rest) = bytes.split_first().ok_or(Stop::Malformed)?;
    *bytes = rest;
    Ok(*first)
}

fn skip(bytes: &mut &[u8], length: u64) -> Passed {
    let length = usize::try_from(length).map_err(|_| Stop::Malformed)?;
    *bytes = bytes.get(length..).ok_or(Stop::Malformed)?;
    Ok(())
}

/// A number of seven bits a byte, the lowest first.
fn number(bytes: &mut &[u8]) -> Passed<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = byte(bytes)?;
        number |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Ok(number);
        }
    }
    Err(Stop::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(bytes: &[u8]) -> std::result::Result<(), String> {
        structure(&mut &bytes[..], 0).map_err(|stop| stop.to_string())
    }

    #[test]
    fn what_claims_more_than_it_has_is_refused() {
        // Field 1: the number 5, then the end.
        assert_eq!(passed(&[0x15, 10, 0]), Ok(()));
        // Field 1: three bytes.
        assert_eq!(passed(&[0x19, 0x33, 1, 2, 3, 0]), Ok(()));
        let many = [0xff, 0xff, 0xff, 0xff, 7];
        let list = |kind: u8| [&[0x19, 0xf0 | kind], &many[..], &[0; 8]].concat();
        for kind in [1, 2, 3, 8, 12] {
            assert!(passed(&list(kind)).unwrap_err().contains("2147483647 elements"), "{kind}");
        }
        assert!(passed(&[0x19, 0x21, 1, 1, 0]).unwrap_err().contains("2 elements"));
        // A map of truth values.
        let map = [&[0x1b], &many[..], &[0x11, 0]].concat();
        assert!(passed(&map).unwrap_err().contains("no structure"));
        assert!(passed(&[0x1c; 64]).is_err() && passed(&[0x15]).is_err());
    }
}
