//! Shards without some samples.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::table::without_uids;
use super::{Uids, copy_without, find_rows, statistics, texts_at};
use crate::{
    Error, Replacement, Result, Sample, ShardReader, ShardWriter, columns, hash_file, schema_of,
};

/// What is removed of a shard.
#[derive(Default)]
struct Plan {
    keys: HashSet<String>,
    /// Rows of the table.
    rows: Vec<u64>,
}

/// Stages the shard at `name` below `folder` without the samples of these uids, with the table,
/// index and statistics beside it, where they are. Returns the number of samples, and of rows whose
/// image was not stored; nothing is staged when there are none.
///
/// # Errors
/// When a file is damaged or cannot be written.
pub fn forget_in_shard(
    folder: &Path,
    name: &str,
    uids: &Uids,
    replacement: &mut Replacement,
) -> Result<u64> {
    let path = folder.join(name);
    let plan = plan(&path, uids)?;
    if plan.keys.is_empty() && plan.rows.is_empty() {
        return Ok(0);
    }
    let stem = name.strip_suffix(".tar").unwrap_or(name);
    let mut writer = ShardWriter::create(&replacement.stage(name)?)?;
    let mut removed = 0;
    for sample in ShardReader::open(&path)? {
        let sample = sample?;
        if plan.keys.contains(&sample.key) {
            removed += 1;
        } else {
            writer.write(&sample)?;
        }
    }
    let info = writer.finish()?;
    let index = format!("{stem}.idx");
    if folder.join(&index).is_file() {
        let text = info.index.to_text();
        clip_format::write_atomic(&replacement.stage(&index)?, text.as_bytes())?;
    }
    let table = format!("{stem}.parquet");
    let mut table_hash = None;
    if !plan.rows.is_empty() {
        let staged = replacement.stage(&table)?;
        copy_without(&folder.join(&table), &staged, &plan.rows)?;
        table_hash = Some(hash_file(&staged)?.0);
    }
    let left = [replacement.staged(&table)?, folder.join(&table)];
    let left = left.iter().find(|table| table.is_file());
    let mut changed = vec![("bytes", Value::from(info.bytes)), ("blake3", info.blake3.into())];
    changed.extend(table_hash.map(|hash| ("table_blake3", hash.into())));
    statistics::stage(folder, stem, left.map(PathBuf::as_path), removed, changed, replacement)?;
    Ok(removed.max(plan.rows.len() as u64))
}

/// How many rows of a shard [`forget_in_shard`] removes.
///
/// # Errors
/// When it is damaged.
pub fn count_in_shard(path: &Path, uids: &Uids) -> Result<u64> {
    let plan = plan(path, uids)?;
    Ok(plan.keys.len().max(plan.rows.len()) as u64)
}

/// Whether a shard has a sample of these uids.
///
/// # Errors
/// When it is damaged.
pub fn holds(path: &Path, uids: &Uids) -> Result<bool> {
    Ok(count_in_shard(path, uids)? > 0)
}

/// Whether a shard has samples, and none of them a uid.
///
/// # Errors
/// When it is damaged.
pub fn lacks_uids(path: &Path) -> Result<bool> {
    let table = path.with_extension("parquet");
    if has_table(&table)? {
        return without_uids(&table);
    }
    let mut samples = false;
    for sample in ShardReader::open(path)? {
        if uid_of(&sample?, path)?.is_some() {
            return Ok(false);
        }
        samples = true;
    }
    Ok(samples)
}

/// Whether the table beside a shard has the uids of its samples.
fn has_table(table: &Path) -> Result<bool> {
    if !table.is_file() {
        return Ok(false);
    }
    let schema = schema_of(table)?;
    Ok([columns::UID, "key"].iter().all(|name| schema.column_with_name(name).is_some()))
}

/// By the table beside the shard where that has uids, else by the samples' json.
fn plan(path: &Path, uids: &Uids) -> Result<Plan> {
    let table = path.with_extension("parquet");
    let mut plan = Plan::default();
    if !has_table(&table)? {
        for sample in ShardReader::open(path)? {
            let sample = sample?;
            if uid_of(&sample, path)?.is_some_and(|uid| uids.contains(&uid)) {
                plan.keys.insert(sample.key);
            }
        }
        if table.is_file() {
            plan.rows = find_rows(&table, "key", |key| plan.keys.contains(key))?;
        }
        return Ok(plan);
    }
    plan.rows = find_rows(&table, columns::UID, |uid| uids.contains(uid))?;
    if plan.rows.is_empty() {
        return Ok(plan);
    }
    plan.keys.extend(texts_at(&table, &plan.rows, "key")?);
    if plan.keys.len() < plan.rows.len() {
        let reason = "rows of these uids have no key, or one that another row has".into();
        return Err(Error::Damaged { path: table, reason });
    }
    Ok(plan)
}

/// The uid in a sample's json.
pub(crate) fn uid_of(sample: &Sample, path: &Path) -> Result<Option<String>> {
    let Some(json) = sample.get("json") else { return Ok(None) };
    let value: Value = crate::json::from_slice(json).map_err(|e| Error::Sample {
        path: path.to_path_buf(),
        key: sample.key.clone(),
        reason: format!("json: {e}"),
    })?;
    Ok(value["uid"].as_str().map(str::to_owned))
}
