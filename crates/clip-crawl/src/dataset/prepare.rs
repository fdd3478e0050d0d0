//! What a run starts from: the shards that are there, if the same settings and list made them.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use clip_pipeline::{Error, Result};

use super::adopted::contradiction;
use super::columns::names;
use super::fetched_list::{FetchedList, contents, numbers, with};
use super::folder::lock;
use super::output::Output;
use super::{DatasetConfig, IncrementalMode};
use crate::list::{Column, Format, ListFile};

/// Which shards a run makes.
#[derive(Debug, Default)]
pub(super) struct Planned {
    /// Those that are there.
    pub done: HashSet<usize>,
    /// Number of the list's first one.
    pub first: usize,
    /// Number of the first one after it that is another list's.
    pub end: Option<usize>,
    /// The lists that the data set is made from by then.
    lists: Vec<FetchedList>,
}

/// Makes the folder ready, by the mode; the lock is to be held while the run lasts.
pub(super) fn prepare(
    config: &DatasetConfig,
    files: &[ListFile],
    columns: &[Column],
    output: &Output,
) -> Result<(Planned, File)> {
    let folder = output.folder();
    // It is the caller's to name another one; a full disk is not.
    std::fs::create_dir_all(folder).map_err(|e| match e.kind() {
        std::io::ErrorKind::StorageFull => Error::io(folder, e),
        _ => Error::Config(format!(
            "{}: {e}\nhint: the folder of the data set cannot be made there",
            folder.display()
        )),
    })?;
    let lock = lock(folder, config.job.is_some())?;
    let planned = planned(config, files, columns, output)?;
    if config.incremental_mode == IncrementalMode::Overwrite {
        output.clear()?;
    }
    output.publish_all(names(config))?;
    let made = DatasetConfig { lists: planned.lists.clone(), ..config.clone() };
    let text = toml::to_string(&made).map_err(|e| Error::Config(e.to_string()))?;
    output.write_settings(&text)?;
    Ok((planned, lock))
}

/// The shards that are to be made.
///
/// # Errors
/// When other settings or another list made what is there.
pub(super) fn planned(
    config: &DatasetConfig,
    files: &[ListFile],
    columns: &[Column],
    output: &Output,
) -> Result<Planned> {
    let (listed, files) = (files, contents(files)?);
    let done = match config.incremental_mode {
        IncrementalMode::Overwrite => HashSet::new(),
        _ => output.done()?,
    };
    if done.is_empty() {
        return Ok(Planned { lists: with(Vec::new(), 0, files), ..Planned::default() });
    }
    let old = output.settings()?;
    let foreign = old.is_none();
    let lists = old.as_ref().map(|old| old.lists.clone()).unwrap_or_default();
    if config.incremental_mode == IncrementalMode::Extend {
        let first = done.iter().max().map_or(0, |last| last + 1);
        let lists = with(lists, first, files);
        return Ok(Planned { first, lists, ..Planned::default() });
    }
    let refused = |why: String| {
        let hint = "hint: --incremental_mode overwrite makes it anew, extend adds to it";
        Error::Config(format!("{}: {why}\n{hint}", config.output_folder.display()))
    };
    let changes = old.map(|old| changes(&old, config, listed)).unwrap_or_default();
    if !changes.is_empty() {
        return Err(refused(format!("made with other settings: {}", changes.join(", "))));
    }
    if foreign && let Some(why) = contradiction(config, listed, columns, output.folder(), &done)? {
        return Err(refused(why));
    }
    let known = if lists.is_empty() { Some((0, None)) } else { numbers(&lists, &files) };
    let (first, end) = known.ok_or_else(|| {
        let list = config.url_list.display();
        refused(format!("{list} has other rows than the list that its shards were made from"))
    })?;
    // A shard whose tar is gone is fetched again.
    let tars = config.output_format == super::OutputFormat::Webdataset;
    let done = if tars { output.with_tars(done, names(config))? } else { done };
    Ok(Planned { done, first, end, lists: with(lists, first, files) })
}

/// The settings that a data set was made with; none where img2dataset made it.
pub fn settings(place: &Path) -> Result<Option<DatasetConfig>> {
    Output::open(place, None)?.settings()
}

/// The setting that says what the list is.
pub(super) const FORMAT: &str = "input_format";

/// The settings that decide what the shards of a data set hold.
pub(super) fn decides(config: &DatasetConfig) -> toml::Table {
    let mut table = toml::Table::try_from(config).unwrap_or_default();
    // How politely, and from where the list is read, changes no shard's content.
    for key in ["fetch", "output_folder", "url_list", "lists"] {
        table.remove(key);
    }
    table
}

/// Settings that would make the shards of one data set differ.
fn changes(old: &DatasetConfig, new: &DatasetConfig, files: &[ListFile]) -> Vec<String> {
    let same_format = same_format(old, new, files);
    let (mut old, mut new) = (decides(old), decides(new));
    if same_format {
        old.remove(FORMAT);
        new.remove(FORMAT);
    }
    let mut changes = Vec::new();
    differences(&old, &new, &mut changes);
    changes
}

/// Whether the list is read in the same way by both: what its name says counts where nothing else
/// does.
fn same_format(old: &DatasetConfig, new: &DatasetConfig, files: &[ListFile]) -> bool {
    let read_as = |config: &DatasetConfig, file: &ListFile| match &config.input_format {
        Some(name) => Format::named(name),
        None => Format::of(&file.path.to_string_lossy()),
    };
    files.iter().all(|file| read_as(old, file) == read_as(new, file))
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
        drop(prepare(&config, &[], &[], &output).unwrap());
        let old = settings(dir.path()).unwrap().unwrap();
        assert!(changes(&old, &config, &[]).is_empty());
        // The name says of the first what is said now.
        let list = |name: &str| [ListFile { path: name.into(), format: Format::Parquet }];
        let named = DatasetConfig { input_format: Some("parquet".into()), ..config.clone() };
        assert!(changes(&old, &named, &list("a.parquet")).is_empty());
        assert_eq!(changes(&old, &named, &list("a.csv")).len(), 1);
        std::fs::write(dir.path().join("00003_stats.json"), "{}").unwrap();
        config.image.image_size = 512;
        config.fetch.timeout = 1.0;
        let message = prepare(&config, &[], &[], &output).err().unwrap().to_string();
        assert!(message.contains("image_size 256 -> 512"), "{message}");
        config.incremental_mode = IncrementalMode::Extend;
        assert_eq!(prepare(&config, &[], &[], &output).unwrap().0.first, 4);
        std::fs::write(dir.path().join("notes.json"), "mine").unwrap();
        config.incremental_mode = IncrementalMode::Overwrite;
        assert!(prepare(&config, &[], &[], &output).unwrap().0.done.is_empty());
        assert!(dir.path().join("notes.json").exists());
    }
}
