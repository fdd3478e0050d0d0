//! Writing a shard whose bytes depend on its samples alone.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, JoinHandle};

use super::Member;
use super::index::ShardIndex;
use super::keys::Keys;
use crate::{Error, IoContext, Result, Sample};
use clip_format::AtomicFile;

const BLOCK: u64 = 512;

/// What a finished shard holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardInfo {
    /// Number of samples.
    pub samples: u64,
    /// Length of the tar file, in bytes.
    pub bytes: u64,
    /// blake3 of the tar file, as hex.
    pub blake3: String,
    /// Where each member is.
    pub index: ShardIndex,
}

/// Writes one tar file: USTAR, mode 0444, no owner, no time, samples in the order given, fields
/// sorted.
pub struct ShardWriter {
    file: Hashed,
    at: u64,
    samples: u64,
    index: ShardIndex,
    keys: Keys,
}

/// A file and the hash of what was written to it, both made in whole pieces: the hash is several
/// times faster in large ones that begin where a power of two does, and no page of the file is
/// written twice. Most of the time is the kernel's, which finds pages and copies, so that is left
/// to a thread of its own: two would wait for each other there.
struct Hashed {
    file: AtomicFile,
    hasher: blake3::Hasher,
    piece: Vec<u8>,
    full: Option<SyncSender<Piece>>,
    /// Pieces that can be filled again.
    empty: Receiver<Vec<u8>>,
    writer: Option<JoinHandle<io::Result<()>>>,
}

/// Bytes and their place in the file.
type Piece = (u64, Vec<u8>);

impl Hashed {
    const PIECE: usize = 1 << 20;
    /// Pieces that may wait for the writer.
    const WAIT: usize = 2;

    fn create(path: &Path) -> Result<Self> {
        let file = AtomicFile::create(path)?;
        let (full, filled) = mpsc::sync_channel(Self::WAIT);
        let (emptied, empty) = mpsc::channel();
        let handle = file.handle().at(path)?;
        let write = move || write_pieces(&handle, &filled, &emptied);
        let writer = thread::Builder::new().name("shard".into()).spawn(write).at(path)?;
        let (hasher, piece) = (blake3::Hasher::new(), Vec::with_capacity(Self::PIECE));
        Ok(Self { file, hasher, piece, full: Some(full), empty, writer: Some(writer) })
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<()> {
        while self.piece.len() + bytes.len() >= Self::PIECE {
            let (now, later) = bytes.split_at(Self::PIECE - self.piece.len());
            self.piece.extend_from_slice(now);
            self.send()?;
            bytes = later;
        }
        self.piece.extend_from_slice(bytes);
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        let at = self.hasher.count();
        self.hasher.update(&self.piece);
        let next = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(Self::PIECE));
        let piece = (at, std::mem::replace(&mut self.piece, next));
        let sent = self.full.as_ref().is_some_and(|full| full.send(piece).is_ok());
        // The writer ends early only when it failed.
        if sent {
            return Ok(());
        }
        self.end()?;
        Err(io::Error::from(io::ErrorKind::BrokenPipe)).at(self.file.path())
    }

    /// Waits for the writer.
    fn end(&mut self) -> Result<()> {
        self.full = None;
        let panicked = |_| Err(io::Error::other("the thread that wrote it panicked"));
        let ended = self.writer.take().map(|writer| writer.join().unwrap_or_else(panicked));
        ended.unwrap_or(Ok(())).at(self.file.path())
    }
}

fn write_pieces(
    file: &File,
    filled: &Receiver<Piece>,
    emptied: &Sender<Vec<u8>>,
) -> io::Result<()> {
    for (at, mut piece) in filled {
        file.write_all_at(&piece, at)?;
        piece.clear();
        // At the end no caller needs it.
        let _ = emptied.send(piece);
    }
    Ok(())
}

impl Drop for Hashed {
    fn drop(&mut self) {
        // No thread may write to the file when it is removed.
        let _ = self.end();
    }
}

impl ShardWriter {
    /// Opens a temporary file beside `path`.
    pub fn create(path: &Path) -> Result<Self> {
        let (file, index, keys) = (Hashed::create(path)?, ShardIndex::default(), Keys::default());
        Ok(Self { file, at: 0, samples: 0, index, keys })
    }

    fn path(&self) -> &Path {
        self.file.file.path()
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.at += bytes.len() as u64;
        self.file.put(bytes)
    }

    fn bad(&self, sample: &Sample, reason: String) -> Error {
        Error::Sample { path: self.path().to_path_buf(), key: sample.key.clone(), reason }
    }

    /// Appends a sample.
    ///
    /// # Errors
    /// When a reader would not give the same sample back: an empty key, a dot in its base name, a
    /// key or field that is too long for USTAR, a field that is there twice, or the key of
    /// another sample.
    pub fn write(&mut self, sample: &Sample) -> Result<()> {
        let base = sample.key.rsplit('/').next().unwrap_or_default();
        if base.is_empty() || base.contains('.') || sample.key.contains(['\n', '\t', '\0']) {
            let reason = "a key is a non-empty name without dots, tabs and line ends";
            return Err(self.bad(sample, reason.into()));
        }
        let mut fields: Vec<&(String, Vec<u8>)> = sample.fields.iter().collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some(twice) = fields.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(self.bad(sample, format!("field {:?} occurs twice", twice[0].0)));
        }
        let first = self.at + BLOCK;
        self.keys.begin(self.file.file.path(), &sample.key, first)?;
        for (field, bytes) in fields {
            let mut header = tar::Header::new_ustar();
            header
                .set_path(format!("{}.{field}", sample.key))
                .map_err(|e| self.bad(sample, e.to_string()))?;
            header.set_mode(0o444);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_size(bytes.len() as u64);
            header.set_entry_type(tar::EntryType::Regular);
            header.set_cksum();
            self.put(header.as_bytes())?;
            let (key, field) = (sample.key.clone(), field.clone());
            let member = Member { key, field, offset: self.at, size: bytes.len() as u64 };
            self.index.members.push(member);
            self.put(bytes)?;
            let padding = self.at.next_multiple_of(BLOCK) - self.at;
            self.put(&[0; BLOCK as usize][..padding as usize])?;
        }
        self.samples += 1;
        Ok(())
    }

    /// Ends the archive and gives the file its name.
    pub fn finish(mut self) -> Result<ShardInfo> {
        self.put(&[0; 2 * BLOCK as usize])?;
        self.file.send()?;
        self.file.end()?;
        let blake3 = self.file.hasher.finalize().to_hex().to_string();
        self.file.file.commit()?;
        Ok(ShardInfo { samples: self.samples, bytes: self.at, blake3, index: self.index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ShardReader, hash_file};
    use proptest::prelude::*;

    fn sample(key: &str, fields: &[(&str, &[u8])]) -> Sample {
        let fields = fields.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()));
        Sample { key: key.into(), fields: fields.collect() }
    }

    fn round_trip(samples: &[Sample]) -> (Vec<Sample>, ShardInfo) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.tar");
        let mut writer = ShardWriter::create(&path).unwrap();
        samples.iter().for_each(|sample| writer.write(sample).unwrap());
        let info = writer.finish().unwrap();
        assert_eq!(hash_file(&path).unwrap(), (info.blake3.clone(), info.bytes));
        assert_eq!(ShardIndex::scan(&path).unwrap(), info.index);
        let index_path = folder.path().join("0.idx");
        std::fs::write(&index_path, info.index.to_text()).unwrap();
        assert_eq!(crate::read_index(&index_path).unwrap(), Some(info.index.clone()));
        (ShardReader::open(&path).unwrap().map(Result::unwrap).collect(), info)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(contents in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..1500), ".{0,40}"), 0..12)) {
            let samples: Vec<Sample> = contents.iter().enumerate().map(|(i, (image, text))| {
                sample(&format!("{i:09}"), &[("jpg", image), ("txt", text.as_bytes())])
            }).collect();
            let (read, info) = round_trip(&samples);
            prop_assert_eq!(&read, &samples);
            prop_assert_eq!(round_trip(&samples).1, info);
        }
    }

    #[test]
    fn samples_that_would_not_come_back_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = ShardWriter::create(&folder.path().join("0.tar")).unwrap();
        let long = "x".repeat(300);
        for (key, fields) in [
            ("a.b", vec!["jpg"]),
            ("", vec!["jpg"]),
            ("a", vec!["txt", "txt"]),
            (&*long, vec!["jpg"]),
        ] {
            let fields: Vec<(&str, &[u8])> = fields.iter().map(|f| (*f, &b"1"[..])).collect();
            assert!(writer.write(&sample(key, &fields)).is_err(), "{key:?}");
        }
        writer.write(&sample("a", &[("txt", b"1")])).unwrap();
        writer.write(&sample("b", &[("txt", b"1")])).unwrap();
        let again = writer.write(&sample("a", &[("jpg", b"2")])).unwrap_err().to_string();
        assert!(again.contains("at byte 512 and again at byte 2560"), "{again}");
    }

    #[test]
    fn a_cut_shard_gives_its_whole_samples_and_then_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.tar");
        let mut writer = ShardWriter::create(&path).unwrap();
        for key in ["a", "b"] {
            writer.write(&sample(key, &[("txt", &[7; 700])])).unwrap();
        }
        writer.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..1536 + 512 + 100]).unwrap();
        let read: Vec<_> = ShardReader::open(&path).unwrap().collect();
        assert_eq!(read.len(), 2);
        assert!(read[0].is_ok());
        assert!(read[1].as_ref().unwrap_err().to_string().contains("0.tar"));
    }
}
