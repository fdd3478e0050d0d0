//! The folder of a data set: its lock, its settings, and which files in it are of shards.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use clip_pipeline::{Error, Result};

use super::DatasetConfig;

/// The settings of a data set, beside its shards. No `.json`: img2dataset takes every one for
/// statistics.
pub(super) const SETTINGS: &str = "clip-data-fetch.toml";

/// One process works in a folder; jobs of an array share it.
pub(super) fn lock(folder: &Path, shared: bool) -> Result<File> {
    let path = folder.join(".lock");
    let lock = clip_corpus::lock_file(&path, shared).map_err(|e| Error::io(&path, e))?;
    lock.ok_or_else(|| Error::Locked { path: folder.to_path_buf() })
}

/// The settings in a folder; none where img2dataset made the data set.
pub(super) fn settings_of(folder: &Path) -> Result<Option<DatasetConfig>> {
    let path = folder.join(SETTINGS);
    match std::fs::read_to_string(&path) {
        Ok(text) => parsed(&path, &text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(&path, e)),
    }
}

/// Those in a text, of the file at `path`.
pub(super) fn parsed(path: &Path, text: &str) -> Result<Option<DatasetConfig>> {
    let bad = |e: toml::de::Error| Error::Config(format!("{}: {}", path.display(), e.message()));
    toml::from_str(text).map(Some).map_err(bad)
}

/// Whether a fetch began in a folder and has no shard yet.
pub fn is_begun(folder: &Path) -> bool {
    folder.join(SETTINGS).is_file() && done(folder).is_ok_and(|done| done.is_empty())
}

/// Shards that a fetch has begun and not written yet, by their spools; none where it has ended.
pub fn unfinished(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder.join("_tmp")).into_iter().flatten().flatten();
    let spools = entries.filter(|entry| entry.path().extension().is_some_and(|e| e == "spool"));
    if folder.join(SETTINGS).is_file() { spools.count() } else { 0 }
}

/// Shards with statistics; none where there is no folder.
pub(super) fn done(folder: &Path) -> Result<HashSet<usize>> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(HashSet::new()),
        entries => entries.map_err(|e| Error::io(folder, e))?,
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| shard_of_stats(&name)).collect())
}

/// The number of the shard whose statistics have this name.
pub(super) fn shard_of_stats(name: &str) -> Option<usize> {
    name.strip_suffix("_stats.json")?.parse().ok()
}

/// Whether a file or folder of this name belongs to a shard.
pub(super) fn is_of_shard(name: &str) -> bool {
    let mut endings = ["_stats.json", ".parquet", ".tar", ".tfrecord"].iter();
    let stem = endings.find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_digit())
}

/// Removes shards and what an interrupted run left; what else is in the folder is not ours to
/// remove.
pub(super) fn clear(folder: &Path) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        let (name, path) = (entry.file_name(), entry.path());
        let removed = if !is_of_shard(&name.to_string_lossy()) && name != "_tmp" {
            Ok(())
        } else if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.map_err(|e| Error::io(&path, e))?;
    }
    Ok(())
}
