//! The shards that are written.

use std::collections::HashSet;
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
    /// Samples that were given another key.
    pub renamed: u64,
}

impl<'a> Output<'a> {
    pub fn new(reshard: &'a Reshard, folder: &'a Path) -> Self {
        Self { reshard, folder, open: None, shards: Vec::new(), renamed: 0 }
    }

    /// Appends a sample under its key, and its row where it has one. Where the shard has the key
    /// already, as of data sets that count from 0 each, a number is put after it.
    pub fn write(&mut self, sample: &Sample, row: Option<RecordBatch>) -> Result<()> {
        let shard = match &mut self.open {
            Some(open) => open,
            None => {
                let number = self.reshard.first_shard + self.shards.len();
                self.open.insert(Open::create(self.folder, number, self.reshard.digits)?)
            }
        };
        match shard.free_key(&sample.key) {
            None => shard.write(sample, row)?,
            Some(key) => {
                self.renamed += 1;
                shard.write(&Sample { key, ..sample.clone() }, row)?;
            }
        }
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
    used: HashSet<String>,
    count: u64,
}

impl Open {
    fn create(folder: &Path, number: usize, digits: usize) -> Result<Self> {
        let name = format!("{number:0digits$}");
        let table = folder.join(format!("{name}.parquet"));
        let (rows, keys, used) = (Vec::new(), Vec::new(), HashSet::new());
        Ok(Self { table, files: ShardFiles::create(folder, name)?, rows, keys, used, count: 0 })
    }

    /// A key that no sample of the shard has; none where that is this one.
    fn free_key(&self, key: &str) -> Option<String> {
        if !self.used.contains(key) {
            return None;
        }
        let mut all = (1..=self.count + 1).map(|number| format!("{key}-{number}"));
        all.find(|key| !self.used.contains(key))
    }

    fn write(&mut self, sample: &Sample, row: Option<RecordBatch>) -> Result<()> {
        self.files.sample(sample)?;
        self.used.insert(sample.key.clone());
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
