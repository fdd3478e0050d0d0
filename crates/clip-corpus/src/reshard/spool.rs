//! Samples in a file, each with what it is sorted by.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::{Error, IoContext, Result, Sample};

/// Bytes of a file that are read or written at a time: many are written side by side.
const BUFFER: usize = 1 << 17;
/// Length of a missing row.
const NONE: u64 = u64::MAX;

/// What a sample is sorted by, in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// A hash of seed and identity.
    pub draw: u64,
    /// The sample's uid, else its key.
    pub id: String,
    /// Its number in the order of reading.
    pub number: u64,
}

/// A sample, and its row of the table where it has one.
pub(super) type Stored = (Sample, Option<Vec<u8>>);

/// A file of samples.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    bytes: u64,
    count: u64,
}

/// A file of samples that is being written.
pub(super) struct SpoolWriter {
    spool: Spool,
    writer: BufWriter<File>,
}

impl SpoolWriter {
    pub fn create(path: PathBuf) -> Result<Self> {
        let file = File::create(&path).at(&path)?;
        let writer = BufWriter::with_capacity(BUFFER, file);
        Ok(Self { spool: Spool { path, bytes: 0, count: 0 }, writer })
    }

    pub fn sample(&mut self, place: &Place, sample: &Sample, row: Option<&[u8]>) -> Result<()> {
        let mut content = Vec::new();
        put_bytes(&mut content, sample.key.as_bytes());
        match row {
            Some(row) => put_bytes(&mut content, row),
            None => content.extend(NONE.to_le_bytes()),
        }
        content.extend((sample.fields.len() as u64).to_le_bytes());
        for (name, bytes) in &sample.fields {
            put_bytes(&mut content, name.as_bytes());
            put_bytes(&mut content, bytes);
        }
        self.content(place, &content)
    }

    /// Appends what [`Spool::for_each`] gave.
    pub fn content(&mut self, place: &Place, content: &[u8]) -> Result<()> {
        let mut head = Vec::with_capacity(64);
        head.extend(place.draw.to_le_bytes());
        head.extend(place.number.to_le_bytes());
        put_bytes(&mut head, place.id.as_bytes());
        head.extend((content.len() as u64).to_le_bytes());
        let written = self.writer.write_all(&head).and_then(|()| self.writer.write_all(content));
        written.at(&self.spool.path)?;
        self.spool.bytes += (head.len() + content.len()) as u64;
        self.spool.count += 1;
        Ok(())
    }

    pub fn finish(mut self) -> Result<Spool> {
        self.writer.flush().at(&self.spool.path)?;
        Ok(self.spool)
    }
}

impl Spool {
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn damaged(&self) -> Error {
        let reason = "it is not what was written into it".to_owned();
        Error::Damaged { path: self.path.clone(), reason }
    }

    /// Visits the place of each sample, where its content is and how long, with a reader that is
    /// there and must read or skip all of it.
    fn walk(
        &self,
        mut visit: impl FnMut(Place, u64, u64, &mut BufReader<File>) -> Result<()>,
    ) -> Result<()> {
        let file = File::open(&self.path).at(&self.path)?;
        let mut reader = BufReader::with_capacity(BUFFER, file);
        let mut at = 0;
        for _ in 0..self.count {
            let draw = number(&mut reader).at(&self.path)?;
            let place = number(&mut reader).at(&self.path)?;
            let length = number(&mut reader).at(&self.path)?;
            // A file that another process cut or wrote over must not ask for all memory.
            if length > self.bytes {
                return Err(self.damaged());
            }
            let mut id = vec![0; length as usize];
            reader.read_exact(&mut id).at(&self.path)?;
            let id = String::from_utf8(id).map_err(|_| self.damaged())?;
            let size = number(&mut reader).at(&self.path)?;
            at += 32 + length;
            if size > self.bytes {
                return Err(self.damaged());
            }
            visit(Place { draw, id, number: place }, at, size, &mut reader)?;
            at += size;
        }
        Ok(())
    }

    /// Visits all samples in the order in which they were written.
    pub fn for_each(&self, mut visit: impl FnMut(&Place, &[u8]) -> Result<()>) -> Result<()> {
        let mut content = Vec::new();
        self.walk(|place, _, size, reader| {
            content.resize(size as usize, 0);
            reader.read_exact(&mut content).at(&self.path)?;
            visit(&place, &content)
        })
    }

    /// Visits all samples in the order of their places: these are in memory, of the samples one.
    pub fn for_each_sorted(&self, mut visit: impl FnMut(Stored) -> Result<()>) -> Result<()> {
        let mut places: Vec<(Place, u64, u64)> = Vec::new();
        self.walk(|place, at, size, reader| {
            places.push((place, at, size));
            reader.seek_relative(size as i64).at(&self.path)
        })?;
        places.sort_unstable();
        let file = File::open(&self.path).at(&self.path)?;
        let mut content = Vec::new();
        for (_, at, size) in places {
            content.resize(size as usize, 0);
            file.read_exact_at(&mut content, at).at(&self.path)?;
            visit(parse(&content).ok_or_else(|| self.damaged())?)?;
        }
        Ok(())
    }

    /// The file's path, for whoever removes it.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn number(reader: &mut impl Read) -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

/// Key, row and fields as [`SpoolWriter::sample`] wrote them.
fn parse(mut content: &[u8]) -> Option<Stored> {
    let key = text(&mut content)?;
    let row = match count(&mut content)? {
        NONE => None,
        length => Some(bytes(&mut content, length)?),
    };
    let mut fields = Vec::new();
    for _ in 0..count(&mut content)? {
        let name = text(&mut content)?;
        let length = count(&mut content)?;
        fields.push((name, bytes(&mut content, length)?));
    }
    Some((Sample { key, fields }, row))
}

fn count(content: &mut &[u8]) -> Option<u64> {
    let (number, rest) = content.split_first_chunk::<8>()?;
    *content = rest;
    Some(u64::from_le_bytes(*number))
}

fn bytes(content: &mut &[u8], length: u64) -> Option<Vec<u8>> {
    let (bytes, rest) = content.split_at_checked(usize::try_from(length).ok()?)?;
    *content = rest;
    Some(bytes.to_vec())
}

fn text(content: &mut &[u8]) -> Option<String> {
    let length = count(content)?;
    String::from_utf8(bytes(content, length)?).ok()
}
