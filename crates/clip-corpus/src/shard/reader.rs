//! Reading a shard, sample by sample.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::Member;
use super::content::not_a_shard;
use super::keys::Keys;
use crate::{Error, IoContext, Result, Sample, split_name};

const BLOCK: usize = 512;
/// Fits into a core's cache: what is read is copied once more from there.
const BUFFER: usize = 1 << 17;
/// A larger field of a sample is refused: it would have to fit into memory.
const MAX_FIELD: u64 = 1 << 30;
/// Fields of a sample: each is compared with those before it.
const MOST_FIELDS: usize = 1000;
/// Names and extended headers have no reason to be longer.
const LONG_NAME: u64 = 1 << 20;

/// A member with a field: where its content starts, its length, its key and its field.
pub(super) struct Head {
    pub offset: u64,
    pub size: u64,
    pub key: String,
    pub field: String,
}

impl Head {
    pub fn member(&self) -> Member {
        let (key, field) = (self.key.clone(), self.field.clone());
        Member { key, field, offset: self.offset, size: self.size }
    }
}

/// Iterates over the samples of one tar file, in its order, with one sample and the keys before it
/// in memory.
///
/// Members that are no regular files, have no dot in their name, or are named `__…__` are skipped.
pub struct ShardReader {
    stream: BufReader<File>,
    path: PathBuf,
    length: u64,
    at: u64,
    ended: bool,
    pending: Option<Head>,
    /// What was met behind a sample that is whole: it is given after that sample.
    fault: Option<Error>,
    members: Vec<Member>,
    keys: Keys,
    done: bool,
}

impl ShardReader {
    /// Opens a shard.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).at(path)?;
        let length = file.metadata().at(path)?.len();
        let (stream, path) = (BufReader::with_capacity(BUFFER, file), path.to_path_buf());
        let (pending, fault, members) = (None, None, Vec::new());
        let (ended, done, keys) = (false, false, Keys::default());
        Ok(Self { stream, path, length, at: 0, ended, pending, fault, members, keys, done })
    }

    /// Where the members of the last sample are.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// After an error: goes to the next member that can be read, and says whether there is one. The
    /// sample that the damage is in is lost, or what of it follows the damage.
    ///
    /// A sample whose key is there already was read to its end: the next one follows.
    pub fn resume(&mut self) -> Result<bool> {
        self.done = self.pending.is_none();
        if !self.done || self.ended {
            return Ok(!self.done);
        }
        while let Ok(Some(block)) = self.block() {
            if checked_size(tar::Header::from_byte_slice(&block), &block).is_some() {
                self.stream.seek_relative(-(BLOCK as i64)).at(&self.path)?;
                self.at -= BLOCK as u64;
                self.done = false;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The place of the first byte after the end-of-archive mark that is not zero, if there is one.
    pub fn rest(&mut self) -> Option<u64> {
        let mut buffer = [0; 1 << 13];
        loop {
            let read = self.stream.read(&mut buffer).ok().filter(|&read| read > 0)?;
            if let Some(at) = buffer[..read].iter().position(|&byte| byte != 0) {
                return Some(self.at + at as u64);
            }
            self.at += read as u64;
        }
    }

    fn damaged(&self, reason: &str) -> Error {
        Error::Damaged { path: self.path.clone(), reason: format!("{reason} at byte {}", self.at) }
    }

    /// The next 512 bytes, or nothing at the end of the file.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.stream.read(&mut block[filled..]).at(&self.path)? {
                0 if filled == 0 => return Ok(None),
                0 => {
                    let other = not_a_shard(&self.path, &block[..filled]).filter(|_| self.at == 0);
                    return Err(
                        other.unwrap_or_else(|| self.damaged("the shard ends inside a header"))
                    );
                }
                n => filled += n,
            }
        }
        self.at += BLOCK as u64;
        Ok(Some(block))
    }

    /// The head of the next member that belongs to a sample; its content comes next on the stream.
    pub(super) fn head(&mut self) -> Result<Option<Head>> {
        // Of two empty blocks some tools write one.
        if self.ended {
            return Ok(None);
        }
        let mut long_name: Option<String> = None;
        while let Some(block) = self.block()? {
            if block.iter().all(|&byte| byte == 0) {
                self.ended = true;
                return Ok(None);
            }
            let header = tar::Header::from_byte_slice(&block);
            let size = checked_size(header, &block).ok_or_else(|| {
                let other = not_a_shard(&self.path, &block);
                let other = other.filter(|_| self.at == BLOCK as u64);
                other.unwrap_or_else(|| self.damaged("a header's checksum or size is wrong"))
            })?;
            let kind = header.entry_type();
            if (kind.is_gnu_longname() || kind.is_pax_local_extensions()) && size > LONG_NAME {
                return Err(self.damaged("a member's name has more than 1 MiB"));
            }
            if kind.is_gnu_longname() {
                let name = self.content(size)?;
                let name = String::from_utf8_lossy(&name);
                long_name = Some(name.trim_end_matches('\0').to_owned());
                continue;
            }
            if kind.is_pax_local_extensions() {
                long_name = pax_path(&self.content(size)?);
                continue;
            }
            let name = String::from_utf8_lossy(&header.path_bytes()).into_owned();
            let name = long_name.take().unwrap_or(name);
            if kind.is_file()
                && !hidden(&name)
                && let Some((key, field)) = split_name(&name)
            {
                if size > MAX_FIELD {
                    let reason =
                        format!("field {field:?} has {size} bytes; at most 1 GiB are read");
                    return Err(Error::Sample {
                        path: self.path.clone(),
                        key: key.to_owned(),
                        reason,
                    });
                }
                return Ok(Some(Head { offset: self.at, size, key: key.to_owned(), field }));
            }
            self.pass_over(size)?;
        }
        // Every tool writes it, so that a cut between two members is seen.
        Err(self.damaged("the end-of-archive mark is missing: the shard was cut"))
    }

    /// The padded length of a member that must end within the file.
    fn padded(&self, size: u64) -> Result<u64> {
        let end = self.at.checked_add(size).filter(|end| *end <= self.length);
        end.ok_or_else(|| self.damaged("the shard ends inside a member"))?;
        Ok(size.next_multiple_of(BLOCK as u64))
    }

    /// Passes over the content of the member whose head was read last.
    pub(super) fn pass_over(&mut self, size: u64) -> Result<()> {
        let padded = self.padded(size)?;
        self.stream.seek_relative(padded as i64).at(&self.path)?;
        self.at += padded;
        Ok(())
    }

    /// The content of the member whose head was read last.
    pub(super) fn content(&mut self, size: u64) -> Result<Vec<u8>> {
        let padded = self.padded(size)?;
        let mut bytes = Vec::with_capacity(padded.min(1 << 24) as usize);
        let read = (&mut self.stream).take(padded).read_to_end(&mut bytes).at(&self.path)? as u64;
        if read < size {
            return Err(self.damaged("the shard ends inside a member"));
        }
        self.at += read;
        bytes.truncate(size as usize);
        Ok(bytes)
    }

    fn next_head(&mut self) -> Result<Option<Head>> {
        match self.pending.take() {
            Some(head) => Ok(Some(head)),
            None => self.head(),
        }
    }

    /// Skips the members that have the key of the one whose head was read last.
    fn skip_sample(&mut self, first: &Head) -> Result<()> {
        self.pass_over(first.size)?;
        while let Some(head) = self.head()? {
            if head.key != first.key {
                self.pending = Some(head);
                break;
            }
            self.pass_over(head.size)?;
        }
        Ok(())
    }

    fn sample(&mut self) -> Result<Option<Sample>> {
        self.members.clear();
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let Some(first) = self.next_head()? else { return Ok(None) };
        if let Err(fault) = self.keys.begin(&self.path, &first.key, first.offset) {
            self.skip_sample(&first)?;
            return Err(fault);
        }
        let content = self.content(first.size)?;
        self.members.push(first.member());
        let mut sample = Sample { key: first.key, fields: vec![(first.field, content)] };
        loop {
            let head = match self.head() {
                Ok(Some(head)) => head,
                Ok(None) => break,
                Err(fault) => {
                    self.fault = Some(fault);
                    break;
                }
            };
            // A field that the sample has begins another sample of the same key.
            if head.key != sample.key || sample.get(&head.field).is_some() {
                self.pending = Some(head);
                break;
            }
            if sample.fields.len() == MOST_FIELDS {
                let reason = format!("more than {MOST_FIELDS} fields");
                return Err(Error::Sample { path: self.path.clone(), key: sample.key, reason });
            }
            let content = self.content(head.size)?;
            self.members.push(head.member());
            sample.fields.push((head.field, content));
        }
        Ok(Some(sample))
    }
}

impl Iterator for ShardReader {
    type Item = Result<Sample>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let sample = self.sample().transpose();
        self.done = !matches!(sample, Some(Ok(_)));
        sample
    }
}

fn checked_size(header: &tar::Header, block: &[u8; BLOCK]) -> Option<u64> {
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    // The sum itself counts as spaces.
    let sum = sum(block) - sum(&block[148..156]) + 8 * 32;
    let size = header.entry_size().ok()?;
    (header.cksum().ok()? == sum).then_some(size)
}

fn pax_path(bytes: &[u8]) -> Option<String> {
    let path = tar::PaxExtensions::new(bytes).filter_map(std::result::Result::ok);
    path.filter(|e| e.key_bytes() == b"path")
        .last()
        .map(|e| String::from_utf8_lossy(e.value_bytes()).into_owned())
}

/// Python `webdataset` keeps `__…__` names for itself.
fn hidden(name: &str) -> bool {
    name.split('/').any(|part| part.len() > 4 && part.starts_with("__") && part.ends_with("__"))
}
