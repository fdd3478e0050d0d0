//! Files of shards that are not there any more, by what is left of them.

use std::collections::BTreeSet;
use std::path::Path;

use clip_format::PathError;
use serde_json::Value;

use crate::verify::{Finding, stored_keys};
use crate::{Error, Result, is_shard};

/// In a folder that `reshard` writes, until its shards are all there.
pub const RESHARDING: &str = ".resharding";
const AGAIN: &str = "hint: the same command with --overwrite writes it anew";

/// Files of a folder's shards that are gone: tars whose statistics or table are there and count
/// samples in them, and tables whose statistics are there where other shards have theirs.
///
/// # Errors
/// When the folder cannot be read.
pub fn gone(folder: &Path) -> Result<Vec<Finding>> {
    let names = names_in(folder)?;
    if names.contains(RESHARDING) {
        let reason = format!("`clip-data reshard` has not finished this folder\n{AGAIN}");
        return Ok(vec![Finding { path: folder.to_path_buf(), reason }]);
    }
    let shards: BTreeSet<&str> = names.iter().filter_map(|name| shard_of(name)).collect();
    let tables = shards.iter().any(|shard| names.contains(&format!("{shard}.parquet")));
    let tars = names.iter().any(|name| is_shard(Path::new(name)));
    let mut found = Vec::new();
    let mut bad = |name: &str, reason: String| {
        found.push(Finding { path: folder.join(name), reason });
    };
    for shard in shards {
        let [tar, table, stats] =
            ["{}.tar", "{}.parquet", "{}_stats.json"].map(|name| name.replace("{}", shard));
        // Only of a shard that lacks something: a folder may have a million of them.
        let written = || -> Value {
            let written = std::fs::read(folder.join(&stats)).unwrap_or_default();
            serde_json::from_slice(&written).unwrap_or_default()
        };
        // img2dataset's `files` are in a folder of the shard's name.
        if !names.contains(&tar) && !names.contains(shard) {
            if let Some(reason) = samples_in(&written(), &folder.join(&table), tars) {
                bad(&tar, reason);
            }
        } else if tables && !names.contains(&table) && written()["successes"].is_u64() {
            bad(&table, "it is gone, and its statistics are not".into());
        }
    }
    Ok(found)
}

/// The names of all that is in a folder.
pub(crate) fn names_in(folder: &Path) -> Result<BTreeSet<String>> {
    let io = |e| PathError::new(folder, e);
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        names.insert(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

/// Refuses a folder that lacks a tar of its shards: what is made of it would be of fewer pairs than
/// it says.
///
/// # Errors
/// When one is gone, or the folder cannot be read.
pub fn require_shards(folder: &Path) -> Result<()> {
    let of_shards = |gone: &Finding| is_shard(&gone.path) || gone.path == folder;
    match gone(folder)?.into_iter().find(of_shards) {
        Some(Finding { path, reason }) if path == folder => Err(Error::Damaged { path, reason }),
        Some(Finding { path, reason }) => Err(Error::Gone { path, reason }),
        None => Ok(()),
    }
}

/// The shard that a file belongs to by its name: statistics of any, a table of a number, as
/// img2dataset names it. Other tables in the folder are not of one shard.
fn shard_of(name: &str) -> Option<&str> {
    let numbered = |shard: &&str| shard.bytes().all(|byte| byte.is_ascii_digit());
    let table = name.strip_suffix(".parquet").filter(numbered);
    name.strip_suffix("_stats.json").or(table).filter(|shard| !shard.is_empty())
}

/// Why a tar that is not there should be, by its statistics or its table. Without any tar in the
/// folder (`tars`), these may be of a data set that has none, unless they have the hash of one.
pub(crate) fn samples_in(stats: &Value, table: &Path, tars: bool) -> Option<String> {
    let successes = stats["successes"].as_u64().unwrap_or(0);
    if stats["blake3"].is_string() || (tars && successes > 0) {
        return Some(format!("it is gone, and its statistics, of {successes} samples, are not"));
    }
    if !tars {
        return None;
    }
    // A table without statuses may be another tool's.
    let schema = crate::schema_of(table).ok()?;
    schema.column_with_name("status")?;
    let stored = stored_keys(table).ok()??.len();
    (stored > 0).then(|| format!("it is gone, and its table, with {stored} stored rows, is not"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_being_resharded_is_not_whole() {
        let folder = tempfile::tempdir().unwrap();
        assert!(require_shards(folder.path()).is_ok());
        std::fs::write(folder.path().join(RESHARDING), "").unwrap();
        let error = require_shards(folder.path()).unwrap_err();
        assert!(error.is_damage(), "{error}");
        assert!(error.to_string().contains("has not finished this folder\nhint: "), "{error}");
        assert_eq!(gone(folder.path()).unwrap().len(), 1);
    }
}
