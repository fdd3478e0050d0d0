//! What shards hold, by their content: two corpora of the same names and counts are not the same.
//!
//! A shard's blake3 is in the `_stats.json` beside it, where clip-data has written it; any other
//! shard is hashed when a run first opens it. The run's folder keeps both with the file's length
//! and time, so that nothing is hashed twice, and a shard that was changed since is seen.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use clip_corpus::Written;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// When a file had which length: as long as both stay, so does its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    bytes: u64,
    /// Nanoseconds since 1970.
    modified: u64,
}

impl Stamp {
    pub fn of(path: &Path, file: &File) -> Result<Self> {
        Ok(Self::of_status(&file.metadata().map_err(|e| Error::io(path, e))?))
    }

    /// Of a file that is not opened.
    pub fn at(path: &Path) -> Result<Self> {
        Ok(Self::of_status(&std::fs::metadata(path).map_err(|e| Error::io(path, e))?))
    }

    fn of_status(status: &Metadata) -> Self {
        let time = status.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = time.map_or(0, |time| time.as_nanos() as u64);
        Self { bytes: status.len(), modified }
    }

    pub fn bytes(self) -> u64 {
        self.bytes
    }
}

/// A shard as a run knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    pub shard: PathBuf,
    #[serde(flatten)]
    pub stamp: Stamp,
    pub blake3: String,
    /// Whether that is what its `_stats.json` says, and the content was not read for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub of_stats: bool,
    /// Whether all of it was read for that.
    #[serde(skip)]
    pub hashed: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Content {
    /// Of a shard that need not be known again.
    pub fn unknown(path: &Path, file: &File) -> Result<Self> {
        let stamp = Stamp::of(path, file)?;
        let (shard, blake3) = (path.to_path_buf(), String::new());
        Ok(Self { shard, stamp, blake3, of_stats: false, hashed: false })
    }
}

/// The shards that a run has opened before.
#[derive(Debug, Default)]
pub(crate) struct Contents(HashMap<PathBuf, Content>);

impl Contents {
    /// Reads what [`write`] has written; a run of an earlier version has nothing.
    pub fn read(path: &Path) -> Result<Self> {
        if !path.is_file() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        let content = |line: &str| -> Result<(PathBuf, Content)> {
            let content: Content = serde_json::from_str(line).map_err(|e| Error::file(path, e))?;
            Ok((content.shard.clone(), content))
        };
        Ok(Self(text.lines().map(content).collect::<Result<_>>()?))
    }

    /// What a shard holds.
    ///
    /// # Errors
    /// When it is not what its `_stats.json` says (stored data is damaged), or not what the run has
    /// begun with.
    pub fn of(&self, path: &Path, file: &File) -> Result<Content> {
        let shard = std::path::absolute(path).map_err(|e| Error::io(path, e))?;
        let (stamp, known) = (Stamp::of(path, file)?, self.0.get(&shard));
        if let Some(known) = known.filter(|known| known.stamp == stamp) {
            return Ok(known.clone());
        }
        let written = Written::of(path)?;
        if let Some(Written { blake3, bytes }) = &written {
            if let Some(wanted) = bytes.filter(|&bytes| bytes != stamp.bytes) {
                let has = stamp.bytes;
                return Err(damaged(
                    path,
                    format!("{has} bytes, and it was written with {wanted}"),
                ));
            }
            if known.is_none() {
                let blake3 = blake3.clone();
                return Ok(Content { shard, stamp, blake3, of_stats: true, hashed: false });
            }
        }
        let blake3 = Written::verified_blake3(path)?;
        if known.is_some_and(|known| known.blake3 != blake3) {
            return Err(Error::file(
                path,
                "its content is not what this run has begun with\n\
                 hint: give the shards of the first start, or another --name for another corpus",
            ));
        }
        Ok(Content { shard, stamp, blake3, of_stats: false, hashed: true })
    }
}

/// Writes what is known of shards, a line of JSON each, for the next start.
pub(crate) fn write<T: Serialize>(path: &Path, shards: &[T]) -> Result<()> {
    let mut text = String::new();
    for shard in shards {
        text += &serde_json::to_string(shard).map_err(|e| Error::file(path, e))?;
        text.push('\n');
    }
    Ok(clip_format::write_atomic(path, text.as_bytes())?)
}

/// A shard that was changed after it was written.
pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Error {
    clip_corpus::Error::Damaged { path: path.to_path_buf(), reason: reason.into() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(contents: &Contents, path: &Path) -> Result<Content> {
        contents.of(path, &File::open(path).unwrap())
    }

    fn later(path: &Path) {
        let file = File::options().append(true).open(path).unwrap();
        let time = file.metadata().unwrap().modified().unwrap();
        file.set_modified(time + std::time::Duration::from_secs(2)).unwrap();
    }

    #[test]
    fn a_shard_is_hashed_once_and_known_after_that() {
        let folder = tempfile::tempdir().unwrap();
        let (shard, kept) = (folder.path().join("0.tar"), folder.path().join("shards.jsonl"));
        std::fs::write(&shard, "first").unwrap();
        let first = of(&Contents::read(&kept).unwrap(), &shard).unwrap();
        assert!(first.hashed && first.blake3 == blake3::hash(b"first").to_hex().to_string());
        write(&kept, std::slice::from_ref(&first)).unwrap();
        let contents = Contents::read(&kept).unwrap();
        assert!(!of(&contents, &shard).unwrap().hashed);
        assert!(!std::fs::read_to_string(&kept).unwrap().contains("of_stats"));
        // Touched: read again, and found to be the same.
        later(&shard);
        assert_eq!(of(&contents, &shard).unwrap().blake3, first.blake3);
        std::fs::write(&shard, "other").unwrap();
        later(&shard);
        let message = of(&contents, &shard).unwrap_err().to_string();
        assert!(message.contains("0.tar") && message.contains("has begun with"), "{message}");
        // Another run may train on it.
        assert_ne!(of(&Contents::default(), &shard).unwrap().blake3, first.blake3);
    }

    #[test]
    fn what_the_statistics_say_is_believed_until_the_file_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let (shard, kept) = (folder.path().join("0.tar"), folder.path().join("shards.jsonl"));
        let stats = |content: &[u8]| {
            let blake3 = blake3::hash(content).to_hex().to_string();
            let stats = serde_json::json!({"blake3": blake3, "bytes": content.len()});
            std::fs::write(folder.path().join("0_stats.json"), stats.to_string()).unwrap();
        };
        std::fs::write(&shard, "first").unwrap();
        stats(b"first");
        let first = of(&Contents::default(), &shard).unwrap();
        assert!(!first.hashed && first.of_stats);
        write(&kept, std::slice::from_ref(&first)).unwrap();
        let line = std::fs::read_to_string(&kept).unwrap();
        assert!(line.contains(r#""of_stats":true"#), "{line}");
        let contents = Contents::read(&kept).unwrap();
        // A byte of it was changed in place: damage.
        std::fs::write(&shard, "firsT").unwrap();
        later(&shard);
        let error = of(&contents, &shard).unwrap_err();
        assert!(matches!(&error, Error::Corpus(error) if error.is_damage()), "{error}");
        assert!(error.to_string().contains("0.tar"), "{error}");
        // Written anew with its statistics: another corpus.
        stats(b"firsT");
        let error = of(&contents, &shard).unwrap_err();
        assert!(error.to_string().contains("has begun with"), "{error}");
        // Cut.
        stats(b"longer than that");
        let error = of(&Contents::default(), &shard).unwrap_err().to_string();
        assert!(error.contains("5 bytes, and it was written with 16"), "{error}");
    }
}
