//! Applying a barrier's decisions to the parts they are about.

use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use clip_corpus::columns;

use crate::{Error, PartSink, Result};

const REASON: &str = "reason";

/// Decisions of one barrier for all rows, sorted by row.
pub(crate) struct Decisions {
    stage: String,
    batch: RecordBatch,
}

impl Decisions {
    /// Checks and joins what the barrier gave.
    pub fn new(stage: &str, batches: &[RecordBatch]) -> Result<Self> {
        let Some(first) = batches.first() else {
            return Err(Error::stage(stage, "the barrier gave no decisions"));
        };
        let batch = concat_batches(&first.schema(), batches).map_err(|e| Error::arrow(stage, e))?;
        let rows = columns::uint64(&batch, columns::ROW)
            .ok_or_else(|| Error::stage(stage, "decisions lack the column `row`"))?;
        if !rows.values().is_sorted_by(|a, b| a < b) {
            return Err(Error::stage(
                stage,
                "decisions are not in the order of rows, one for each",
            ));
        }
        if columns::text(&batch, REASON).is_none() {
            return Err(Error::stage(stage, "decisions lack the text column `reason`"));
        }
        Ok(Self { stage: stage.to_owned(), batch })
    }

    /// Checks that there is one for each of `rows` rows.
    ///
    /// # Errors
    /// What is wrong, as a message.
    pub fn check_rows(&self, rows: u64) -> std::result::Result<(), String> {
        let found = self.batch.num_rows() as u64;
        if found == rows { Ok(()) } else { Err(format!("decisions for {found} of {rows} rows")) }
    }

    /// Reads decisions that were stored for `rows` rows.
    pub fn read(stage: &str, path: &Path, rows: u64) -> Result<Self> {
        let decisions = Self::new(stage, &clip_corpus::read_parquet(path)?)?;
        let damaged = |reason| clip_corpus::Error::Damaged { path: path.to_path_buf(), reason };
        decisions.check_rows(rows).map_err(damaged)?;
        Ok(decisions)
    }

    /// Stores decisions for later parts and other processes.
    pub fn write(&self, path: &Path) -> Result<()> {
        let batch = std::slice::from_ref(&self.batch);
        Ok(clip_corpus::write_parquet(path, self.batch.schema(), batch)?)
    }

    /// Adds the new columns to the rows of a part, then keeps or rejects each.
    pub fn apply(&self, batch: &RecordBatch, out: &mut PartSink) -> Result<()> {
        let missing = || Error::stage(&self.stage, "a row got no decision");
        let mine = self.slice(batch).ok_or_else(missing)?;
        let mut widened = batch.clone();
        for (index, field) in mine.schema().fields().iter().enumerate() {
            if field.name() != columns::ROW && field.name() != REASON {
                let column = mine.column(index).clone();
                widened = columns::with_column(&widened, field.name(), field.is_nullable(), column)
                    .map_err(|e| Error::arrow(&self.stage, e))?;
            }
        }
        let reasons: &StringArray = mine
            .column_by_name(REASON)
            .and_then(|column| column.as_string_opt())
            .ok_or_else(missing)?;
        let reason = |index| {
            reasons.is_valid(index).then(|| (reasons.value(index).to_owned(), String::new()))
        };
        let reasons: Vec<_> = (0..reasons.len()).map(reason).collect();
        out.split(&widened, &reasons)
    }

    /// The decisions about exactly the rows of `batch`.
    fn slice(&self, batch: &RecordBatch) -> Option<RecordBatch> {
        let rows = columns::uint64(batch, columns::ROW)?.values();
        let all = columns::uint64(&self.batch, columns::ROW)?.values();
        let start = rows.first().map_or(0, |first| all.partition_point(|row| row < first));
        let found = all.get(start..start + rows.len())?;
        (found == rows).then(|| self.batch.slice(start, rows.len()))
    }
}
