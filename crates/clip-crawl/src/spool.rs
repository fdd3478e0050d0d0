//! Bytes that wait for their turn on disk: memory stays flat, whatever comes late.
//!
//! A spool with a name keeps results of a part until the part is committed, so that a run that was
//! killed does not ask for them again. Each is one record: its length, the first 16 bytes of its
//! blake3, what became of it as JSON, and its image. A record that was cut off ends the file; a
//! file about other rows or settings is begun anew.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use clip_pipeline::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes that a spool keeps for a later run; what comes after them is fetched again.
const KEPT: u64 = 4 << 30;
/// Longest JSON of a record.
const META: u64 = 1 << 24;
/// Length of all, length of the JSON, checksum.
const HEAD: usize = 8 + 8 + 16;

/// A file of bytes, which vanishes with the process unless it has a name.
pub(crate) struct Spool {
    unnamed: Option<Part>,
    named: Option<Part>,
    dir: PathBuf,
    path: Option<PathBuf>,
    most: u64,
    /// Keeps other processes from the named file.
    lock: Option<File>,
}

/// A file and where it ends.
struct Part {
    file: File,
    end: u64,
}

/// Where bytes are in the spool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    named: bool,
    from: u64,
    size: usize,
}

/// What a record says, and where its image is.
pub(crate) type Kept<T> = (T, Place);

impl Spool {
    /// A spool that keeps nothing.
    pub fn create(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        let dir = dir.to_path_buf();
        Ok(Self { unnamed: None, named: None, dir, path: None, most: KEPT, lock: None })
    }

    /// A spool at `path`, and what an earlier run recorded there about the same `identity`. Where
    /// another process has the file, one that keeps nothing.
    pub fn open<T: DeserializeOwned>(
        path: &Path,
        identity: &[u8; 32],
    ) -> Result<(Self, Vec<Kept<T>>)> {
        let mut spool = Self::create(path.parent().unwrap_or(Path::new("")))?;
        let io = |e| Error::io(path, e);
        spool.lock = clip_corpus::lock_file(path, false).map_err(io)?;
        if spool.lock.is_none() {
            return Ok((spool, Vec::new()));
        }
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(io)?;
        let (kept, end) = read(path, identity).map_err(io)?;
        if end == 0 {
            file.set_len(0).map_err(io)?;
            file.write_all(identity).map_err(io)?;
        } else {
            file.set_len(end).map_err(io)?;
        }
        spool.named = Some(Part { file, end: end.max(identity.len() as u64) });
        spool.path = Some(path.to_path_buf());
        Ok((spool, kept))
    }

    /// Bytes for this process.
    pub fn put(&mut self, bytes: &[u8]) -> Result<Place> {
        let io = |e| Error::io(&self.dir, e);
        let part = match &mut self.unnamed {
            Some(part) => part,
            None => {
                let file = tempfile::tempfile_in(&self.dir).map_err(io)?;
                self.unnamed.insert(Part { file, end: 0 })
            }
        };
        let from = part.append(&[bytes]).map_err(io)?;
        Ok(Place { named: false, from, size: bytes.len() })
    }

    /// Bytes, and what became of the rows that they belong to, for this run and the next.
    pub fn record(&mut self, meta: &impl Serialize, bytes: &[u8]) -> Result<Place> {
        let full = |part: &&mut Part| part.end + bytes.len() as u64 <= self.most;
        let Some(part) = self.named.as_mut().filter(full) else { return self.put(bytes) };
        let meta = serde_json::to_vec(meta).map_err(|e| Error::stage("spool", e))?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&meta).update(bytes);
        let sizes = [(meta.len() + bytes.len()) as u64, meta.len() as u64];
        let mut head = sizes.map(u64::to_le_bytes).concat();
        head.extend_from_slice(&hasher.finalize().as_bytes()[..16]);
        let from = part.append(&[&head, &meta, bytes]).map_err(|e| Error::io(&self.dir, e))?;
        Ok(Place { named: true, from: from + (HEAD + meta.len()) as u64, size: bytes.len() })
    }

    /// Bytes that it takes on disk.
    pub fn bytes(&self) -> u64 {
        self.named.iter().chain(&self.unnamed).map(|part| part.end).sum()
    }

    /// Bytes that were put or recorded.
    pub fn get(&mut self, place: Place) -> Result<Vec<u8>> {
        let part = if place.named { &mut self.named } else { &mut self.unnamed };
        let lost = || Error::stage("spool", "bytes of another spool were asked for");
        let file = &part.as_ref().ok_or_else(lost)?.file;
        let mut bytes = vec![0; place.size];
        std::os::unix::fs::FileExt::read_exact_at(file, &mut bytes, place.from)
            .map_err(|e| Error::io(&self.dir, e))?;
        Ok(bytes)
    }

    /// Removes the file: what it kept is committed.
    pub fn remove(self) {
        if let Some(path) = self.path {
            // One that is gone already is as good.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Part {
    fn append(&mut self, pieces: &[&[u8]]) -> io::Result<u64> {
        let from = self.end;
        self.file.seek(SeekFrom::Start(from))?;
        for piece in pieces {
            self.file.write_all(piece)?;
            self.end += piece.len() as u64;
        }
        Ok(from)
    }
}

/// The whole records of a file, and where the last of them ends: 0 where the file is about
/// something else.
fn read<T: DeserializeOwned>(path: &Path, identity: &[u8; 32]) -> io::Result<(Vec<Kept<T>>, u64)> {
    let file = OpenOptions::new().read(true).open(path)?;
    let length = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(1 << 17, file);
    let mut begins = [0; 32];
    if reader.read_exact(&mut begins).is_err() || begins != *identity {
        return Ok((Vec::new(), 0));
    }
    let (mut kept, mut end) = (Vec::new(), 32);
    while let Some((record, size)) = record(&mut reader, end, length)? {
        kept.push(record);
        end += size;
    }
    Ok((kept, end))
}

fn record<T: DeserializeOwned>(
    reader: &mut BufReader<File>,
    at: u64,
    length: u64,
) -> io::Result<Option<(Kept<T>, u64)>> {
    let mut head = [0; HEAD];
    if reader.read_exact(&mut head).is_err() {
        return Ok(None);
    }
    let number = |from: usize| head[from..from + 8].try_into().map_or(0, u64::from_le_bytes);
    let (all, meta) = (number(0), number(8));
    let Some(image) = all.checked_sub(meta) else { return Ok(None) };
    let from = at + HEAD as u64;
    if meta > META || from.checked_add(all).is_none_or(|end| end > length) {
        return Ok(None);
    }
    let mut json = vec![0; meta as usize];
    reader.read_exact(&mut json)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&json);
    io::copy(&mut reader.take(image), &mut hasher)?;
    if hasher.finalize().as_bytes()[..16] != head[16..] {
        return Ok(None);
    }
    let Ok(value) = serde_json::from_slice(&json) else { return Ok(None) };
    let place = Place { named: true, from: from + meta, size: image as usize };
    Ok(Some(((value, place), HEAD as u64 + all)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_in_any_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(&dir.path().join("new")).unwrap();
        let (a, b, c) =
            (spool.put(b"one").unwrap(), spool.put(b"").unwrap(), spool.put(b"three").unwrap());
        assert_eq!(spool.get(c).unwrap(), b"three");
        assert_eq!(spool.get(a).unwrap(), b"one");
        assert_eq!(spool.get(b).unwrap(), b"");
    }

    fn recorded(path: &Path, identity: u8) -> (Spool, Vec<(String, Vec<u8>)>) {
        let (mut spool, kept) = Spool::open::<String>(path, &[identity; 32]).unwrap();
        let kept =
            kept.into_iter().map(|(meta, place)| (meta, spool.get(place).unwrap())).collect();
        (spool, kept)
    }

    fn pair(meta: &str, bytes: &[u8]) -> (String, Vec<u8>) {
        (meta.to_owned(), bytes.to_vec())
    }

    #[test]
    fn records_outlive_the_process_and_a_torn_tail_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part.spool");
        let (mut spool, kept) = recorded(&path, 1);
        assert!(kept.is_empty());
        spool.record(&"first", b"image one").unwrap();
        spool.put(b"not kept").unwrap();
        let second = spool.record(&"second", b"").unwrap();
        assert_eq!(spool.get(second).unwrap(), b"");
        drop(spool);
        let two = vec![pair("first", b"image one"), pair("second", b"")];
        assert_eq!(recorded(&path, 1).1, two);
        let whole = std::fs::read(&path).unwrap();
        // Cut anywhere, or with other bytes: what is before the damage stays, and records can
        // follow.
        for cut in [whole.len() - 1, whole.len() - 20, whole.len() - 39] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut spool, kept) = recorded(&path, 1);
            assert_eq!(kept, two[..1], "cut at {cut}");
            spool.record(&"third", b"three").unwrap();
            drop(spool);
            assert_eq!(
                recorded(&path, 1).1,
                [pair("first", b"image one"), pair("third", b"three")]
            );
        }
        let mut changed = whole.clone();
        changed[32 + HEAD + 3] ^= 1;
        std::fs::write(&path, [&changed[..], &[0; 4096]].concat()).unwrap();
        assert_eq!(recorded(&path, 1).1, []);
        std::fs::write(&path, [&whole[..], &[0; 4096]].concat()).unwrap();
        assert_eq!(recorded(&path, 1).1, two);
        // Other rows or settings.
        assert_eq!(recorded(&path, 2).1, []);
        assert_eq!(recorded(&path, 1).1, []);
    }

    #[test]
    fn a_spool_is_one_process_s_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part.spool");
        let (mut spool, _) = recorded(&path, 1);
        spool.most = 200;
        let first = spool.record(&"a", &[1; 100]).unwrap();
        let beyond = spool.record(&"b", &[2; 100]).unwrap();
        assert_eq!(
            (spool.get(first).unwrap(), spool.get(beyond).unwrap()),
            (vec![1; 100], vec![2; 100])
        );
        let (mut other, kept) = recorded(&path, 1);
        assert!(kept.is_empty());
        let place = other.record(&"c", b"elsewhere").unwrap();
        assert_eq!(other.get(place).unwrap(), b"elsewhere");
        drop((spool, other));
        let (spool, kept) = recorded(&path, 1);
        assert_eq!(kept, [pair("a", &[1; 100])]);
        spool.remove();
        assert!(!path.exists());
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert!(Spool::open::<String>(&path, &[1; 32]).is_err());
    }
}
