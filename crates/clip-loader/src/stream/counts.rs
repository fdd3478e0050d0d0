//! How many samples each shard has: from its `_stats.json`, its index, or the shard itself; kept,
//! so that the next start asks none of them.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use clip_corpus::ShardIndex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::place::Place;
use crate::contents::{Stamp, damaged};
use crate::{Error, Result};

/// Bytes of a file beside a shard, which is read into memory.
const MOST: u64 = 1 << 30;

/// A shard as it was counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Count {
    /// Path or URL.
    pub shard: String,
    /// Of a file: when it had which length.
    pub stamp: Option<Stamp>,
    pub samples: u32,
    /// Its hash, where its `_stats.json` has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
    /// The sum of the weights of its samples, as the bits of an f64, by the column of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<(String, u64)>,
}

/// The counts of an earlier start.
#[derive(Default)]
pub(super) struct Counts(HashMap<String, Count>);

impl Counts {
    /// Reads what [`crate::contents::write`] has written; a line that is none is dropped.
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let counts = text.lines().filter_map(|line| serde_json::from_str::<Count>(line).ok());
        Self(counts.map(|count| (count.shard.clone(), count)).collect())
    }

    /// Waits until no other process counts these shards.
    pub fn lock(path: &Path) -> Result<File> {
        let path = path.with_extension("lock");
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = |file: File| file.lock().map(|()| file);
        opened.and_then(lock).map_err(|e| Error::io(&path, e))
    }

    /// The count of a shard that has not changed since, with the weights of `column`.
    pub fn get(&self, shard: &str, stamp: Option<Stamp>, column: Option<&str>) -> Option<&Count> {
        let of = |count: &Count| count.weights.as_ref().map(|(name, _)| name.clone());
        let fits = |count: &&Count| column.is_none() || of(count).as_deref() == column;
        self.0.get(shard).filter(|count| count.stamp == stamp).filter(fits)
    }
}

/// Samples of a shard, and its hash where that is known, by what is nearest.
pub(super) fn count(
    place: &Place,
    stamp: Option<Stamp>,
    scan: impl Fn() -> Result<ShardIndex>,
) -> Result<(u32, Option<String>)> {
    let stats = read_beside(place, "_stats.json")?;
    let stats: Value =
        stats.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    if let (Some(stamp), Some(wanted)) = (stamp, stats["bytes"].as_u64())
        && stamp.bytes() != wanted
    {
        let reason = format!("{} bytes, and it was written with {wanted}", stamp.bytes());
        return Err(damaged(&place.shown(), reason));
    }
    let blake3 = stats["blake3"].as_str().map(str::to_owned);
    if let Some(samples) = stats["successes"].as_u64().and_then(|count| u32::try_from(count).ok()) {
        return Ok((samples, blake3));
    }
    let index = read_beside(place, ".idx")?;
    if let Some(samples) = index.as_deref().and_then(keys_of_index) {
        return Ok((samples, blake3));
    }
    let members = scan()?.members;
    Ok((members.chunk_by(|a, b| a.key == b.key).count() as u32, blake3))
}

/// A file beside a shard, if it is there.
pub(super) fn read_beside(place: &Place, ending: &str) -> Result<Option<Vec<u8>>> {
    let (name, read) = match place {
        Place::Local(path) => {
            let beside = beside(path, ending);
            (beside.clone(), std::fs::read(beside))
        }
        Place::Remote(_) => {
            let Some(beside) = place.url_beside(ending) else { return Ok(None) };
            let read = clip_store::open(&beside, 0).and_then(|reader| {
                let mut bytes = Vec::new();
                let most = reader.take(MOST).read_to_end(&mut bytes)? as u64;
                let more = || std::io::Error::other(format!("more than {MOST} bytes"));
                if most < MOST { Ok(bytes) } else { Err(more()) }
            });
            (PathBuf::from(clip_store::redacted(&beside).into_owned()), read)
        }
    };
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        // A bucket that may not be listed denies what is not there.
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => Ok(None),
        Err(e) => Err(Error::io(&name, e)),
    }
}

/// `00000.tar` and `_stats.json`: `00000_stats.json`.
pub(super) fn beside(shard: &Path, ending: &str) -> PathBuf {
    let stem = shard.file_stem().unwrap_or_default().to_string_lossy();
    shard.with_file_name(format!("{stem}{ending}"))
}

/// Samples of an index of ours, without making it: its lines begin with the key and a tab. None of
/// another tool's.
fn keys_of_index(index: &[u8]) -> Option<u32> {
    let (mut count, mut last) = (0, &b""[..]);
    for line in index.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let key = &line[..line.iter().position(|&byte| byte == b'\t')?];
        count += u32::from(count == 0 || key != last);
        last = key;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_counted_by_its_keys() {
        assert_eq!(keys_of_index(b"a\tjpg\t1\t2\na\ttxt\t3\t4\nb\tjpg\t5\t6\n"), Some(2));
        assert_eq!(keys_of_index(b""), Some(0));
        assert_eq!(keys_of_index(b"v1.2 7\njpg 1 2\n"), None);
    }

    #[test]
    fn a_count_is_kept_to_the_bit_and_for_its_column() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counts.jsonl");
        let weights = Some(("balance".to_owned(), (0.1f64 + 0.2).to_bits()));
        let count =
            Count { shard: "s3://b/0.tar".into(), stamp: None, samples: 3, blake3: None, weights };
        crate::contents::write(&path, std::slice::from_ref(&count)).unwrap();
        let kept = Counts::read(&path);
        assert_eq!(kept.get("s3://b/0.tar", None, Some("balance")), Some(&count));
        assert_eq!(kept.get("s3://b/0.tar", None, None), Some(&count));
        assert_eq!(kept.get("s3://b/0.tar", None, Some("other")), None);
        assert_eq!(kept.get("s3://b/1.tar", None, None), None);
    }
}
