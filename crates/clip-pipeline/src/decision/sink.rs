//! Writing decisions as they come, in files that end between two parts.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use clip_corpus::{PartFile, PartWriter, columns, row_part};

use super::index::{DecisionFile, DecisionIndex, REASON, path_of};
use crate::format::Format;
use crate::layout::{INDEX, StageLayout};
use crate::{Error, Result};

/// Rows after which a file ends, at the end of a part.
const FILE_ROWS: u64 = 262_144;
/// Rows that are written at a time: the bytes of a file do not depend on the batches that came.
const GROUP: usize = 65_536;

/// Where a barrier puts its decisions.
///
/// A decision is a row of `row` (UInt64), `reason` (Utf8, null where the row continues), and the
/// columns that the row gains, or that replace its own; `detail` (Utf8) goes to the reject of a row
/// that is dropped, and is no column of others. They come in ascending order of `row`, one
/// for each row of the inputs. Memory holds some ten thousand of them.
pub struct DecisionSink {
    stage: String,
    folder: PathBuf,
    file_rows: u64,
    /// An empty batch with the columns.
    columns: Option<RecordBatch>,
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    current: Option<Current>,
    last: Option<u64>,
    files: Vec<DecisionFile>,
}

struct Current {
    writer: PartWriter,
    parts: (usize, usize),
    rows: u64,
}

impl DecisionSink {
    /// A sink for the decisions of a stage.
    pub fn new(stage: &str, layout: &StageLayout) -> Self {
        Self::with_file_rows(stage, layout, FILE_ROWS)
    }

    pub(super) fn with_file_rows(stage: &str, layout: &StageLayout, file_rows: u64) -> Self {
        Self {
            stage: stage.to_owned(),
            folder: layout.decisions(),
            file_rows,
            columns: None,
            waiting: Vec::new(),
            waiting_rows: 0,
            current: None,
            last: None,
            files: Vec::new(),
        }
    }

    /// Takes the next decisions. An empty batch gives the columns alone.
    ///
    /// # Errors
    /// When columns are missing, rows are unsorted or named twice, or storage fails.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = columns::uint64(batch, columns::ROW)
            .ok_or_else(|| Error::stage(&self.stage, "decisions lack the column `row`"))?;
        if columns::text(batch, REASON).is_none() {
            return Err(Error::stage(&self.stage, "decisions lack the text column `reason`"));
        }
        self.columns.get_or_insert_with(|| batch.slice(0, 0));
        let rows = rows.values();
        let ascends = rows.is_sorted_by(|a, b| a < b)
            && self.last.is_none_or(|last| rows.first().is_none_or(|first| last < *first));
        if !ascends {
            let reason = "decisions are not sorted by row, or a row has two";
            return Err(Error::stage(&self.stage, reason));
        }
        self.last = rows.last().copied().or(self.last);
        let mut at = 0;
        while let Some(&row) = rows.get(at) {
            let part = row_part(row);
            let end = at + rows[at..].partition_point(|&row| row_part(row) == part);
            let full =
                |current: &Current| current.rows >= self.file_rows && current.parts.1 != part;
            if self.current.as_ref().is_some_and(full) {
                self.end_file()?;
            }
            self.append(part, batch.slice(at, end - at))?;
            at = end;
        }
        Ok(())
    }

    fn append(&mut self, part: usize, rows: RecordBatch) -> Result<()> {
        let count = rows.num_rows();
        let current = match &mut self.current {
            Some(current) => current,
            None => {
                let (_, path) = path_of(&self.folder, self.files.len());
                let writer = PartWriter::create(&path, rows.schema())?;
                self.current.insert(Current { writer, parts: (part, part), rows: 0 })
            }
        };
        current.parts.1 = part;
        current.rows += count as u64;
        self.waiting.push(rows);
        self.waiting_rows += count;
        if self.waiting_rows >= GROUP { self.write(false) } else { Ok(()) }
    }

    /// Writes what waits, in whole groups unless the file ends here.
    fn write(&mut self, all: bool) -> Result<()> {
        let (Some(current), Some(columns)) = (&mut self.current, &self.columns) else {
            return Ok(());
        };
        let waiting = concat_batches(&columns.schema(), &self.waiting);
        let waiting = waiting.map_err(|e| Error::arrow(&self.stage, e))?;
        let mut at = 0;
        while waiting.num_rows() - at >= GROUP {
            current.writer.write(&waiting.slice(at, GROUP))?;
            at += GROUP;
        }
        let rest = waiting.slice(at, waiting.num_rows() - at);
        (self.waiting, self.waiting_rows) = (Vec::new(), 0);
        if all {
            return Ok(current.writer.write(&rest)?);
        }
        self.waiting_rows = rest.num_rows();
        self.waiting.push(rest);
        Ok(())
    }

    fn end_file(&mut self) -> Result<()> {
        self.write(true)?;
        let Some(Current { writer, parts, rows }) = self.current.take() else { return Ok(()) };
        writer.finish()?;
        let (name, _) = path_of(&self.folder, self.files.len());
        let file = PartFile::hash(&self.folder, &name)?;
        self.files.push(DecisionFile { file, parts, rows });
        Ok(())
    }

    /// Ends the file that is being written.
    fn flush(&mut self) -> Result<()> {
        self.end_file()?;
        if self.files.is_empty() {
            // Rows of empty parts gain the columns as well.
            let none = || Error::stage(&self.stage, "the barrier gave no decisions");
            let columns = self.columns.clone().ok_or_else(none)?;
            let (name, path) = path_of(&self.folder, 0);
            clip_corpus::write_parquet(&path, columns.schema(), &[columns])?;
            let file = PartFile::hash(&self.folder, &name)?;
            self.files.push(DecisionFile { file, parts: (0, 0), rows: 0 });
        }
        Ok(())
    }

    /// Makes the decisions count, if there is one for each of `rows` rows.
    ///
    /// # Errors
    /// [`Error::Short`] when there is not: a query on a cluster that lost a worker may end with
    /// some of its rows.
    pub fn finish(mut self, rows: u64) -> Result<()> {
        self.flush()?;
        let found = self.files.iter().map(|file| file.rows).sum();
        if found != rows {
            return Err(Error::Short { stage: self.stage, found, rows });
        }
        DecisionIndex { files: self.files }.write(&self.folder.join(INDEX))
    }
}
