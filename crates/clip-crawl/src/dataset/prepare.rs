//! What a run starts from: the shards that are there, if the same settings made them.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use clip_pipeline::{Error, Result};

use super::columns::names;
use super::folder::lock;
use super::output::Output;
use super::{DatasetConfig, IncrementalMode};

/// What a run starts from.
pub(super) struct Start {
    /// Shards that are there.
    pub done: HashSet<usize>,
    /// Number of the first shard.
    pub first: usize,
    /// Held while the run lasts.
    pub _lock: File,
}

/// Makes the folder ready, by the mode.
pub(super) fn prepare(config: &DatasetConfig, output: &Output) -> Result<Start> {
    let folder = output.folder();
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let lock = lock(folder, config.job.is_some())?;
    let (done, first) = planned(config, output)?;
    if config.incremental_mode == IncrementalMode::Overwrite {
        output.clear()?;
    }
    output.publish_all(names(config))?;
    let text = toml::to_string(config).map_err(|e| Error::Config(e.to_string()))?;
    output.write_settings(&text)?;
    Ok(Start { done, first, _lock: lock })
}

/// The shards that need not be made, and the number of the first one.
///
/// # Errors
/// When other settings made what is there.
pub(super) fn planned(config: &DatasetConfig, output: &Output) -> Result<(HashSet<usize>, usize)> {
    let there = match config.incremental_mode {
        IncrementalMode::Overwrite => HashSet::new(),
        _ => output.done()?,
    };
    match config.incremental_mode {
        IncrementalMode::Extend => {
            let first = there.iter().max().map_or(0, |last| last + 1);
            return Ok((HashSet::new(), first));
        }
        IncrementalMode::Incremental if !there.is_empty() => {
            let changes = output.settings()?.map(|old| changes(&old, config)).unwrap_or_default();
            if !changes.is_empty() {
                return Err(Error::Config(format!(
                    "{}: made with other settings: {}\nhint: --incremental_mode overwrite makes it anew, extend adds to it",
                    config.output_folder.display(),
                    changes.join(", ")
                )));
            }
        }
        _ => {}
    }
    Ok((there, 0))
}

/// The settings that a data set was made with; none where img2dataset made it.
pub fn settings(place: &Path) -> Result<Option<DatasetConfig>> {
    Output::open(place, None)?.settings()
}

/// The settings that decide what the shards of a data set hold.
pub(super) fn decides(config: &DatasetConfig) -> toml::Table {
    let mut table = toml::Table::try_from(config).unwrap_or_default();
    // How politely, and from where the list is read, changes no shard's content.
    for key in ["fetch", "output_folder", "url_list"] {
        table.remove(key);
    }
    table
}

/// Settings that would make the shards of one data set differ.
fn changes(old: &DatasetConfig, new: &DatasetConfig) -> Vec<String> {
    let (old, new) = (decides(old), decides(new));
    let mut changes = Vec::new();
    differences(&old, &new, &mut changes);
    changes
}

fn differences(old: &toml::Table, new: &toml::Table, changes: &mut Vec<String>) {
    let shown = |value: Option<&toml::Value>| value.map_or("none".to_owned(), |v| v.to_string());
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        match (old.get(key), new.get(key)) {
            (Some(toml::Value::Table(a)), Some(toml::Value::Table(b))) => {
                differences(a, b, changes);
            }
            (a, b) if a != b => changes.push(format!("{key} {} -> {}", shown(a), shown(b))),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_and_changes_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = DatasetConfig { output_folder: dir.path().into(), ..Default::default() };
        let output = Output::open(dir.path(), None).unwrap();
        config.verify_hash = Some(("h".into(), super::super::HashKind::Sha256));
        drop(prepare(&config, &output).unwrap());
        assert!(changes(&settings(dir.path()).unwrap().unwrap(), &config).is_empty());
        std::fs::write(dir.path().join("00003_stats.json"), "{}").unwrap();
        config.image.image_size = 512;
        config.fetch.timeout = 1.0;
        let message = prepare(&config, &output).err().unwrap().to_string();
        assert!(message.contains("image_size 256 -> 512"), "{message}");
        config.incremental_mode = IncrementalMode::Extend;
        assert_eq!(prepare(&config, &output).unwrap().first, 4);
        std::fs::write(dir.path().join("notes.json"), "mine").unwrap();
        config.incremental_mode = IncrementalMode::Overwrite;
        assert!(prepare(&config, &output).unwrap().done.is_empty());
        assert!(dir.path().join("notes.json").exists());
    }
}
