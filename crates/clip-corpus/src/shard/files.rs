//! A shard with what is beside it: table, index, statistics.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use clip_format::write_atomic;
use serde_json::{Map, Value};

use super::{ShardInfo, ShardWriter};
use crate::{PartWriter, Result, Sample};

/// Writes the tar file of a shard and the table of its rows.
pub struct ShardFiles {
    folder: PathBuf,
    name: String,
    tar: ShardWriter,
    table: Option<PartWriter>,
}

impl ShardFiles {
    /// Opens the shard of this name in a folder.
    pub fn create(folder: &Path, name: String) -> Result<Self> {
        let tar = ShardWriter::create(&folder.join(format!("{name}.tar")))?;
        Ok(Self { folder: folder.to_path_buf(), name, tar, table: None })
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}{ending}", self.name))
    }

    /// Appends a sample to the tar file.
    ///
    /// # Errors
    /// As those of [`ShardWriter::write`].
    pub fn sample(&mut self, sample: &Sample) -> Result<()> {
        self.tar.write(sample)
    }

    /// Appends rows to the table, whose columns are those of the first ones.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<()> {
        let table = match self.table.take() {
            Some(table) => table,
            None => PartWriter::create(&self.path(".parquet"), batch.schema())?,
        };
        self.table.insert(table).write(batch)
    }

    /// Closes tar file and table.
    pub fn finish(self) -> Result<ShardInfo> {
        let info = self.tar.finish()?;
        self.table.map(PartWriter::finish).transpose()?;
        Ok(info)
    }

    /// Closes tar file and table, then writes the index and, last, the statistics with length and
    /// hash of the tar file. No times, so that two runs write the same bytes.
    ///
    /// Returns the number of samples and the names of the files.
    pub fn finish_with(self, mut stats: Map<String, Value>) -> Result<(u64, Vec<String>)> {
        let (index, stats_path) = (self.path(".idx"), self.path("_stats.json"));
        let endings = [".tar", ".parquet", ".idx", "_stats.json"].into_iter();
        let names = endings.filter(|end| *end != ".parquet" || self.table.is_some());
        let names = names.map(|ending| format!("{}{ending}", self.name)).collect();
        let info = self.finish()?;
        write_atomic(&index, info.index.to_text().as_bytes())?;
        stats.insert("bytes".into(), info.bytes.into());
        stats.insert("blake3".into(), info.blake3.into());
        write_atomic(&stats_path, format!("{:#}\n", Value::Object(stats)).as_bytes())?;
        Ok((info.samples, names))
    }
}
