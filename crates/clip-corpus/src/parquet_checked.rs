//! A Parquet file that is read no further than it reaches, whatever it claims.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use clip_format::FileKind;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::parquet_thrift::{FOOTER, PAGE_HEADER, Stop, pass};
use crate::{Error, IoContext, Result};

/// Longest footer that is read: one of ten million column chunks is shorter.
const LONGEST_FOOTER: u64 = 1 << 30;
/// Bytes from its start on by which a file of another kind is known.
const START: u64 = 512;

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
                hint: "hint: give a Parquet file; of a list, its name or the option for its format says what it is",
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
        pass(&mut &footer[..], FOOTER)
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
        // The end of the file, which is no header of a page.
        let unchecked = start.checked_add(8).is_none_or(|end| end == self.length);
        Ok(PageReader { file: self.file.get_read(start)?, start, length: self.length, unchecked })
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

/// Bytes of a page's header that are looked at; more where it is not whole in these.
const WINDOWS: [u64; 3] = [1 << 16, 1 << 22, 1 << 26];

/// Reads a page's header, once it was passed to its end. The crate also asks for a reader where a
/// page's data begins, and reads nothing of it then.
pub(crate) struct PageReader {
    file: BufReader<File>,
    start: u64,
    length: u64,
    /// Whether it may be read as it is.
    unchecked: bool,
}

impl PageReader {
    fn check(&mut self) -> std::io::Result<()> {
        let mut passed = pass(&mut self.file.fill_buf()?, PAGE_HEADER);
        let rest = self.length.saturating_sub(self.start);
        for window in WINDOWS {
            if !passed.as_ref().is_err_and(Stop::may_pass) {
                break;
            }
            let mut header = vec![0; window.min(rest) as usize];
            self.file.get_ref().read_exact_at(&mut header, self.start)?;
            passed = pass(&mut &header[..], PAGE_HEADER);
        }
        passed.map_err(|stop| {
            std::io::Error::new(ErrorKind::InvalidData, format!("{stop} in the header of a page"))
        })
    }
}

impl Read for PageReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if !self.unchecked {
            self.check()?;
            self.unchecked = true;
        }
        self.file.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a header, read as the crate reads them.
    fn header(bytes: &[u8]) -> std::result::Result<Vec<u8>, String> {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &[bytes, &[0; 64]].concat()).unwrap();
        let mut read = Checked::new(file).unwrap().get_read(0).unwrap();
        let mut found = vec![0; bytes.len()];
        read.read_exact(&mut found).map(|()| found).map_err(|error| error.to_string())
    }

    #[test]
    fn a_pages_header_is_passed_to_its_end_before_it_is_read() {
        // Field 5, field 5, field 1: a long least value of a page's statistics.
        let long =
            [&[0x5c, 0x5c, 0x18, 0xa0, 0x8d, 6][..], &b"x".repeat(100_000), &[0; 3]].concat();
        assert_eq!(header(&long), Ok(long.clone()));
        // 500 lists of 2^31 truth values: hours of passing over them.
        let many = [0xf1, 0xff, 0xff, 0xff, 0xff, 7];
        let lists = [&[0x99, 0xf9, 0xf4, 3][..], &many.repeat(500), &[0]].concat();
        let error = header(&lists).unwrap_err();
        assert!(error.contains("2147483647 truth values in the header of a page"), "{error}");
        let claimed = [&[0x99, 0xf3, 0xff, 0xff, 0xff, 0xff, 7][..], &[0; 8]].concat();
        assert!(header(&claimed).unwrap_err().contains("a list of 2147483647 elements"));
    }
}
