//! What each stage did with a pair: `explain` and the pages of `serve` show it.

use std::path::{Path, PathBuf};

use arrow::array::{Array, RecordBatch, StringArray};
use clip_corpus::{columns, row_index, row_part, scan};
use serde_json::{Map, Value};

use crate::{Error, Result, RunReader, StageReader, row_of};

/// Columns by which a pair may be asked for.
const NAMES: [&str; 4] = [columns::UID, columns::URL, "key", "source_key"];
/// Rows that are looked through at a time.
const BATCH: usize = 65_536;

/// What became of a pair in a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceOutcome {
    /// It entered the run here.
    In,
    /// It continued.
    Kept,
    /// It was dropped.
    Dropped,
    /// The stage has not done its part yet.
    Missing,
}

impl TraceOutcome {
    /// Its name in what is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Kept => "kept",
            Self::Dropped => "dropped",
            Self::Missing => "missing",
        }
    }
}

/// What one stage did with a pair.
#[derive(Debug, Clone)]
pub struct TraceStep {
    /// The stage.
    pub stage: String,
    /// What became of the pair.
    pub outcome: TraceOutcome,
    /// Columns that are new or changed here; for a pair that was dropped, reason and detail.
    pub values: Map<String, Value>,
}

/// Parquet files in a folder, sorted; none where the folder is not there.
pub fn tables_in(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.retain(|path| path.extension().is_some_and(|e| e == "parquet"));
    found.sort();
    found
}

impl RunReader {
    /// The rows that a uid, a URL, a sample's key or a row's number names: those collected, those
    /// that were dropped at once, or those of a shard's key. Digits with a zero before them are a
    /// key, of the shards or of those that the pairs were read from: every row with it. None where
    /// there is no such pair.
    ///
    /// # Errors
    /// When what is stored is damaged.
    pub fn find_rows(&self, pair: &str) -> Result<Vec<u64>> {
        let stages = self.stages();
        let (Some(first), Some(last)) = (stages.first(), stages.last()) else {
            return Ok(Vec::new());
        };
        let is_number = pair.bytes().all(|byte| byte.is_ascii_digit());
        let is_row = is_number && (pair == "0" || !pair.starts_with('0'));
        if is_row
            && let Ok(row) = pair.parse::<u64>()
            && collected(first, row)
        {
            return Ok(vec![row]);
        }
        let folders = [first.layout.dir().to_path_buf(), first.layout.all_rejects()];
        let mut rows = Vec::new();
        for folder in folders.into_iter().chain([last.layout.shards()]) {
            for table in tables_in(&folder) {
                named_rows(&table, pair, &mut rows)?;
            }
            // The keys of both may look alike.
            if !rows.is_empty() && !is_number {
                break;
            }
        }
        rows.sort_unstable();
        rows.dedup();
        Ok(rows)
    }

    /// What each stage did with a row, up to the one that dropped it.
    ///
    /// # Errors
    /// When what is stored is damaged.
    pub fn trace(&self, row: u64) -> Result<Vec<TraceStep>> {
        let (mut steps, mut known) = (Vec::new(), Map::new());
        for (at, stage) in self.stages().iter().enumerate() {
            let step = |outcome, values| TraceStep { stage: stage.name.clone(), outcome, values };
            let kept = match stage.kept(row)? {
                Some(kept) => Some(kept),
                None => in_shards(stage, row)?,
            };
            if let Some(kept) = kept {
                let mut values = cells(&kept);
                values.retain(|column, value| known.get(column) != Some(&*value));
                known.extend(values.clone());
                let outcome = if at == 0 { TraceOutcome::In } else { TraceOutcome::Kept };
                steps.push(step(outcome, values));
                continue;
            }
            let last = match stage.rejected(row)? {
                None => step(TraceOutcome::Missing, Map::new()),
                Some(rejected) => {
                    step(TraceOutcome::Dropped, dropped(stage, row, &rejected, &known)?)
                }
            };
            steps.push(last);
            break;
        }
        Ok(steps)
    }
}

fn collected(first: &StageReader, row: u64) -> bool {
    let part = first.layout.rows(row_part(row));
    clip_corpus::parquet_rows(&part).is_ok_and(|rows| (row_index(row) as u64) < rows)
}

/// Adds the rows of a table that have `pair` as one of their names.
fn named_rows(table: &Path, pair: &str, rows: &mut Vec<u64>) -> Result<()> {
    for batch in scan(table, &[&[columns::ROW], &NAMES[..]].concat(), BATCH)? {
        let batch = batch?;
        let Some(ids) = columns::uint64(&batch, columns::ROW) else { continue };
        for column in NAMES.iter().filter_map(|name| columns::text(&batch, name)) {
            let named = (0..column.len()).filter(|&at| column.value(at) == pair);
            rows.extend(named.map(|at| ids.value(at)));
        }
    }
    Ok(())
}

/// What is new about a row where it was dropped: a barrier's decision says more than the reason:
/// whose copy the pair is.
fn dropped(
    stage: &StageReader,
    row: u64,
    rejected: &RecordBatch,
    known: &Map<String, Value>,
) -> Result<Map<String, Value>> {
    let mut values = cells(rejected);
    values.retain(|column, value| known.get(column) != Some(&*value) && value.as_str() != Some(""));
    let Some(decision) = stage.decision(row)? else { return Ok(values) };
    let mut decision = cells(&decision);
    decision.retain(|column, value| !values.contains_key(column) && !value.is_null());
    if let Some(cluster) = decision.get(columns::CLUSTER).and_then(Value::as_u64)
        && cluster != row
        && let Some(copy) = stage.kept(cluster)?
    {
        let copy = cells(&copy);
        for column in [columns::UID, columns::URL, columns::CAPTION] {
            let value = copy.get(column).cloned().unwrap_or_default();
            decision.insert(format!("copy_of.{column}"), value);
        }
    }
    decision.remove(columns::ROW);
    values.extend(decision);
    Ok(values)
}

/// The row of a shard's table, with the shard's name; shards hold rows in their order.
fn in_shards(stage: &StageReader, row: u64) -> Result<Option<RecordBatch>> {
    for table in tables_in(&stage.layout.shards()) {
        if let Some(found) = row_of(&table, row)? {
            let name = table.with_extension("tar").display().to_string();
            let shard = std::sync::Arc::new(StringArray::from(vec![name]));
            let widened = columns::with_column(&found, "shard", false, shard);
            return widened.map(Some).map_err(|e| Error::arrow(&stage.name, e));
        }
    }
    Ok(None)
}

/// The cells of a batch of one row.
fn cells(batch: &RecordBatch) -> Map<String, Value> {
    let fields = batch.schema();
    let cell = |(field, column): (&arrow::datatypes::FieldRef, &arrow::array::ArrayRef)| {
        Some((field.name().clone(), clip_corpus::cell(column, 0)?))
    };
    fields.fields().iter().zip(batch.columns()).filter_map(cell).collect()
}
