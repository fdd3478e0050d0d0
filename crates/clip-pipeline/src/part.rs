//! Writing one part: rows that continue, images beside them, and rows that are dropped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use clip_corpus::columns::{self, without_column};
use clip_corpus::{Commit, Counts, PartFile, PartWriter};

use crate::embedded::{EmbeddedRows, PartEmbeddings};
use crate::layout::{StageLayout, images_name, rejects_name, rows_name};
use crate::{Context, Error, Result};

/// A row that was dropped, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reject {
    /// The row's id.
    pub row: u64,
    /// Identity of the pair.
    pub uid: String,
    /// URL of the image.
    pub url: String,
    /// The text.
    pub caption: String,
    /// One short word, counted in the funnel.
    pub reason: String,
    /// What exactly happened, for people.
    pub detail: String,
}

/// A committed part, as the next stage sees it.
#[derive(Debug, Clone)]
pub struct PartInfo {
    /// Its number.
    pub part: usize,
    /// Its rows.
    pub path: PathBuf,
    /// Its number of rows.
    pub rows: u64,
    /// The images of its rows (columns `row`, `image`; may hold more rows than the part).
    pub images: Option<PathBuf>,
    /// Their embeddings, for a barrier that asks for some ([`crate::Barrier::needs_embeddings`]).
    pub embeddings: Option<PartEmbeddings>,
}

impl PartInfo {
    /// The part's rows, with the `image` column joined by row when asked for.
    pub fn read(&self, with_images: bool) -> Result<Vec<RecordBatch>> {
        let batches = clip_corpus::read_parquet(&self.path)?;
        match &self.images {
            Some(images) if with_images => {
                let images = clip_corpus::read_parquet(images)?;
                batches.into_iter().map(|batch| join_images(batch, &images, &self.path)).collect()
            }
            _ => Ok(batches),
        }
    }
}

fn join_images(batch: RecordBatch, images: &[RecordBatch], path: &Path) -> Result<RecordBatch> {
    let lost = |reason: &str| {
        let (path, reason) = (path.to_path_buf(), reason.to_owned());
        Error::Corpus(clip_corpus::Error::Damaged { path, reason })
    };
    let wanted = columns::uint64(&batch, columns::ROW).ok_or_else(|| lost("no column `row`"))?;
    let mut found = std::collections::HashMap::new();
    for (at, images) in images.iter().enumerate() {
        let rows = columns::uint64(images, columns::ROW).ok_or_else(|| lost("no column `row`"))?;
        found.extend(rows.values().iter().enumerate().map(|(index, &row)| (row, (at, index))));
    }
    let places: Option<Vec<_>> =
        wanted.values().iter().map(|row| found.get(row).copied()).collect();
    let places = places.ok_or_else(|| lost("a row has no image beside it"))?;
    let pools: Option<Vec<&dyn arrow::array::Array>> = images
        .iter()
        .map(|b| b.column_by_name(columns::IMAGE).map(|c| c as &dyn arrow::array::Array))
        .collect();
    let pools = pools.ok_or_else(|| lost("no column `image`"))?;
    let column: ArrayRef = if pools.is_empty() {
        arrow::array::new_empty_array(&DataType::Binary)
    } else {
        arrow::compute::interleave(&pools, &places).map_err(|e| Error::arrow("images", e))?
    };
    columns::with_column(&batch, columns::IMAGE, false, column)
        .map_err(|e| Error::arrow("images", e))
}

/// Where a stage puts the rows of one part.
///
/// Nothing has its name until the part is whole; dropped before that, it leaves nothing.
pub struct PartSink {
    stage: String,
    part: usize,
    layout: StageLayout,
    rows: Option<PartWriter>,
    images: Option<PartWriter>,
    embeddings: EmbeddedRows,
    /// A stage after the fetch sees images but does not store them again.
    store_images: bool,
    rejects: Vec<Reject>,
    counts: Counts,
    started: Instant,
    cx: Option<Context>,
}

impl PartSink {
    /// A sink for a part of a stage whose folder is `dir`.
    pub fn new(stage: &str, part: usize, dir: &Path, store_images: bool) -> Self {
        Self {
            stage: stage.to_owned(),
            part,
            layout: StageLayout::new(dir),
            rows: None,
            images: None,
            embeddings: EmbeddedRows::default(),
            store_images,
            rejects: Vec::new(),
            counts: Counts::default(),
            started: Instant::now(),
            cx: None,
        }
    }

    /// The same, for a run that can be asked to stop.
    #[must_use]
    pub fn within(self, cx: &Context) -> Self {
        Self { cx: Some(cx.clone()), ..self }
    }

    /// The run around it, if there is one: a stage that takes long over a batch looks whether it is
    /// to stop.
    pub fn context(&self) -> Option<&Context> {
        self.cx.as_ref()
    }

    /// Number of the part.
    pub fn part(&self) -> usize {
        self.part
    }

    /// Counts URLs that were asked for the part's rows.
    pub fn asked(&mut self, urls: u64) {
        self.counts.urls += urls;
    }

    /// Counts rows that continue with a mark, and would be dropped if the stage were set to drop.
    pub fn count_flagged(&mut self, rows: u64) {
        self.counts.flagged += rows;
    }

    /// Rows that continue, in order.
    pub fn keep(&mut self, batch: RecordBatch) -> Result<()> {
        self.counts.rows_out += batch.num_rows() as u64;
        if self.store_images && batch.schema().index_of(columns::IMAGE).is_ok() {
            self.keep_images(&batch)?;
        }
        let batch = without_column(&batch, columns::IMAGE);
        let path = self.layout.rows(self.part);
        Ok(PartWriter::append(&mut self.rows, &path, &batch)?)
    }

    /// The same for rows that have embeddings, of images and of captions: numbers of 16 bits, row
    /// after row. A stage that gives some gives them for all of its rows.
    pub fn keep_embedded(&mut self, batch: RecordBatch, images: &[u8], texts: &[u8]) -> Result<()> {
        self.embeddings.push(&batch, images, texts)?;
        self.keep(batch)
    }

    fn keep_images(&mut self, batch: &RecordBatch) -> Result<()> {
        let arrow = |e| Error::arrow(&self.stage, e);
        let indices: Result<Vec<usize>> = [columns::ROW, columns::IMAGE]
            .iter()
            .map(|name| batch.schema().index_of(name).map_err(arrow))
            .collect();
        let images = batch.project(&indices?).map_err(arrow)?;
        let path = self.layout.images(self.part);
        Ok(PartWriter::append(&mut self.images, &path, &images)?)
    }

    /// A row that is dropped.
    pub fn reject(&mut self, reject: Reject) -> Result<()> {
        *self.counts.dropped.entry(reject.reason.clone()).or_default() += 1;
        self.rejects.push(reject);
        Ok(())
    }

    /// Keeps the rows of a batch that have no reason, rejects the others with theirs.
    pub fn split(
        &mut self,
        batch: &RecordBatch,
        reasons: &[Option<(String, String)>],
    ) -> Result<()> {
        self.reject_rows(batch, reasons)?;
        let kept = reasons.iter().enumerate().filter(|(_, reason)| reason.is_none());
        let kept: Vec<u64> = kept.map(|(index, _)| index as u64).collect();
        if kept.len() == batch.num_rows() {
            return self.keep(batch.clone());
        }
        let kept = take_record_batch(batch, &UInt64Array::from(kept));
        self.keep(kept.map_err(|e| Error::arrow(&self.stage, e))?)
    }

    /// Rejects the rows of a batch that have a reason; the caller keeps the others.
    pub fn reject_rows(
        &mut self,
        batch: &RecordBatch,
        reasons: &[Option<(String, String)>],
    ) -> Result<()> {
        let cell = |name: &str, index: usize| {
            columns::text(batch, name).map(|c| c.value(index).to_owned()).unwrap_or_default()
        };
        for (index, reason) in reasons.iter().enumerate() {
            let Some((reason, detail)) = reason else { continue };
            let row = columns::uint64(batch, columns::ROW).map_or(0, |rows| rows.value(index));
            self.reject(Reject {
                row,
                uid: cell(columns::UID, index),
                url: cell(columns::URL, index),
                caption: cell(columns::CAPTION, index),
                reason: reason.clone(),
                detail: detail.clone(),
            })?;
        }
        Ok(())
    }

    /// Gives the files their names and returns the line for the manifest.
    pub fn commit(mut self, rows_in: Option<u64>) -> Result<Commit> {
        let mut names = Vec::new();
        if let Some(images) = self.images.take() {
            images.finish()?;
            names.push(images_name(self.part));
        }
        if !self.rejects.is_empty() {
            write_rejects(&self.layout.rejects(self.part), &self.rejects)?;
            names.push(rejects_name(self.part));
        }
        if let Some(rows) = self.rows.take() {
            rows.finish()?;
            names.push(rows_name(self.part));
        }
        let embedded = self.embeddings.rows() as u64;
        if embedded > 0 && embedded != self.counts.rows_out {
            let message = format!(
                "part {}: {embedded} embeddings of {} rows",
                self.part, self.counts.rows_out
            );
            return Err(Error::stage(&self.stage, message));
        }
        names.extend(self.embeddings.write(self.layout.dir(), self.part)?);
        let dropped = self.counts.rejected();
        self.counts.rows_in = rows_in.unwrap_or(self.counts.rows_out + dropped);
        if self.counts.rows_out + dropped != self.counts.rows_in {
            let message = format!(
                "part {}: {} rows in, but {} out and {dropped} dropped",
                self.part, self.counts.rows_in, self.counts.rows_out
            );
            return Err(Error::stage(&self.stage, message));
        }
        commit_line(self.part, self.layout.dir(), &names, self.counts, self.started)
    }
}

/// The manifest line for files that have their names.
pub(crate) fn commit_line(
    part: usize,
    dir: &Path,
    names: &[String],
    counts: Counts,
    started: Instant,
) -> Result<Commit> {
    let files = names.iter().map(|name| PartFile::hash(dir, name));
    let files = files.collect::<clip_corpus::Result<_>>()?;
    let seconds = (started.elapsed().as_secs_f64() * 1e3).round() / 1e3;
    Ok(Commit { part, files, counts, seconds })
}

/// The columns of a table of rejects.
pub fn reject_schema() -> SchemaRef {
    let text = |name| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![
        Field::new(columns::ROW, DataType::UInt64, false),
        text(columns::UID),
        text(columns::URL),
        text(columns::CAPTION),
        text("reason"),
        text("detail"),
    ]))
}

fn write_rejects(path: &Path, rejects: &[Reject]) -> Result<()> {
    let schema = reject_schema();
    let strings = |get: fn(&Reject) -> &String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rejects.iter().map(get)))
    };
    let rows: ArrayRef = Arc::new(UInt64Array::from_iter_values(rejects.iter().map(|r| r.row)));
    let columns = vec![
        rows,
        strings(|r| &r.uid),
        strings(|r| &r.url),
        strings(|r| &r.caption),
        strings(|r| &r.reason),
        strings(|r| &r.detail),
    ];
    let batch =
        RecordBatch::try_new(schema.clone(), columns).map_err(|e| Error::arrow("rejects", e))?;
    Ok(clip_corpus::write_parquet(path, schema, &[batch])?)
}

/// The images column of a batch.
pub fn image_bytes(batch: &RecordBatch) -> Option<&arrow::array::BinaryArray> {
    batch.column_by_name(columns::IMAGE)?.as_binary_opt::<i32>()
}
