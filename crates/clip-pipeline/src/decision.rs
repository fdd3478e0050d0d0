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
        if !rows.values().is_sorted() {
            return Err(Error::stage(stage, "decisions are not sorted by row"));
        }
        if columns::text(&batch, REASON).is_none() {
            return Err(Error::stage(stage, "decisions lack the text column `reason`"));
        }
        Ok(Self { stage: stage.to_owned(), batch })
    }

    /// Reads decisions that were stored.
    pub fn read(stage: &str, path: &Path) -> Result<Self> {
        Self::new(stage, &clip_corpus::read_parquet(path)?)
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
