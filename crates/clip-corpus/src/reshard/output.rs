//! The shards that are written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use serde_json::Map;

use super::settings::Reshard;
use crate::{IoContext, Result, Sample, ShardFiles, columns};

/// Rows of a table that wait to be written.
const ROWS: usize = 1024;

/// Shards, one after the other.
pub(super) struct Output<'a> {
    reshard: &'a Reshard,
    folder: &'a Path,
    open: Option<Open>,
    shards: Vec<(String, u64)>,
}

impl<'a> Output<'a> {
    pub fn new(reshard: &'a Reshard, folder: &'a Path) -> Self {
        Self { reshard, folder, open: None, shards: Vec::new() }
    }

    /// Appends a sample under its key, and its row where it has one.
    pub fn write(&mut self, sample: &Sample, row: Option<RecordBatch>) -> Result<()> {
        let shard = match &mut self.open {
            Some(open) => open,
            None => {
                let number = self.reshard.first_shard + self.shards.len();
                self.open.insert(Open::create(self.folder, number, self.reshard.digits)?)
            }
        };
        shard.write(sample, row)?;
        if shard.count as usize == self.reshard.shard_size {
            self.shards.extend(self.open.take().map(Open::finish).transpose()?);
        }
        Ok(())
    }

    /// The shards with their samples, in their order.
    pub fn finish(mut self) -> Result<Vec<(String, u64)>> {
        self.shards.extend(self.open.map(Open::finish).transpose()?);
        Ok(self.shards)
    }
}

/// A shard at work.
struct Open {
    table: PathBuf,
    files: ShardFiles,
    rows: Vec<RecordBatch>,
    keys: Vec<String>,
    count: u64,
}

impl Open {
    fn create(folder: &Path, number: usize, digits: usize) -> Result<Self> {
        let name = format!("{number:0digits$}");
        let table = folder.join(format!("{name}.parquet"));
        let (rows, keys) = (Vec::new(), Vec::new());
        Ok(Self { table, files: ShardFiles::create(folder, name)?, rows, keys, count: 0 })
    }

    fn write(&mut self, sample: &Sample, row: Option<RecordBatch>) -> Result<()> {
        self.files.sample(sample)?;
        if let Some(row) = row {
            self.rows.push(row);
            self.keys.push(sample.key.clone());
        }
        self.count += 1;
        if self.rows.len() == ROWS { self.write_rows() } else { Ok(()) }
    }

    fn write_rows(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let Some(first) = rows.first() else { return Ok(()) };
        let rows = concat_batches(&first.schema(), &rows).at(&self.table)?;
        let keys: ArrayRef = Arc::new(StringArray::from(std::mem::take(&mut self.keys)));
        self.files.rows(&columns::with_column(&rows, "key", false, keys).at(&self.table)?)
    }

    fn finish(mut self) -> Result<(String, u64)> {
        self.write_rows()?;
        let stats = Map::from_iter([("successes".to_owned(), self.count.into())]);
        let (samples, mut names) = self.files.finish_with(stats)?;
        Ok((names.swap_remove(0), samples))
    }
}
