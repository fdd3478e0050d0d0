//! Shards without some samples.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::{Map, Value};

use super::table::without_uids;
use super::{Uids, copy_without, find_rows};
use crate::{
    Error, IoContext, Replacement, Result, Sample, ShardReader, ShardWriter, columns, hash_file,
    scan, schema_of,
};

/// What is removed of a shard.
#[derive(Default)]
struct Plan {
    keys: HashSet<String>,
    /// Rows of the table.
    rows: Vec<u64>,
    /// The cells of `status`, `error_message` and `error_kind` of these rows, each with its number.
    status: BTreeMap<(&'static str, String), u64>,
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
    let statistics = format!("{stem}_stats.json");
    let stats = folder.join(&statistics);
    if stats.is_file() {
        let damaged = |reason: String| Error::Damaged { path: stats.clone(), reason };
        let text = std::fs::read(&stats).at(&stats)?;
        let value: Value = crate::json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
        let Value::Object(mut value) = value else {
            return Err(damaged("it is not an object".into()));
        };
        reduce(&mut value, removed, &plan);
        for (name, new) in [("bytes", Value::from(info.bytes)), ("blake3", info.blake3.into())] {
            value.entry(name).and_modify(|old| *old = new);
        }
        if let (Some(old), Some(new)) = (value.get_mut("table_blake3"), table_hash) {
            *old = new.into();
        }
        let text = format!("{:#}\n", Value::Object(value));
        clip_format::write_atomic(&replacement.stage(&statistics)?, text.as_bytes())?;
    }
    Ok(removed.max(plan.rows.len() as u64))
}

/// Whether a shard has a sample of these uids.
///
/// # Errors
/// When it is damaged.
pub fn holds(path: &Path, uids: &Uids) -> Result<bool> {
    let plan = plan(path, uids)?;
    Ok(!plan.keys.is_empty() || !plan.rows.is_empty())
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
    let mut first = 0;
    for batch in scan(&table, &["key", "status", "error_message", "error_kind"], 8192)? {
        let batch = batch?;
        let own = first..first + batch.num_rows() as u64;
        let from = plan.rows.partition_point(|&row| row < own.start);
        for row in plan.rows[from..].iter().take_while(|row| own.contains(*row)) {
            let cell = |name: &str| {
                let column = columns::text(&batch, name)?;
                column.iter().nth((row - own.start) as usize)?.map(str::to_owned)
            };
            plan.keys.extend(cell("key"));
            for name in ["status", "error_message", "error_kind"] {
                let cell = cell(name).map(|cell| (name, cell));
                cell.into_iter().for_each(|cell| *plan.status.entry(cell).or_default() += 1);
            }
        }
        first = own.end;
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

/// Takes what is removed off the counts that are there.
fn reduce(stats: &mut Map<String, Value>, samples: u64, plan: &Plan) {
    let take = |value: Option<&mut Value>, less: u64| {
        if let Some(value) = value
            && let Some(count) = value.as_u64()
        {
            *value = count.saturating_sub(less).into();
        }
    };
    take(stats.get_mut("count"), samples.max(plan.rows.len() as u64));
    take(stats.get_mut("successes"), samples);
    for ((column, cell), &rows) in &plan.status {
        match *column {
            "status" if cell != "success" => take(stats.get_mut(cell), rows),
            "status" => take(stats.get_mut("status_dict").and_then(|d| d.get_mut("success")), rows),
            "error_message" => {
                take(stats.get_mut("status_dict").and_then(|d| d.get_mut(cell)), rows);
            }
            _ => take(stats.get_mut("error_kinds").and_then(|d| d.get_mut(cell)), rows),
        }
    }
}
