//! A pool through the gates of a preset, file by file, in bounded memory.

use std::path::Path;
use std::sync::Mutex;

use arrow::array::{Array, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use clip_corpus::{ParquetFile, SubsetWriter, columns, uid_number};
use clip_text::LanguageWorkspace;
use rayon::prelude::*;

use crate::centroids::not_finite;
use crate::gates::Row;
use crate::npz::{Block, MatrixFile};
use crate::pool::{self, HEIGHT, STATUS, TEXT, WIDTH};
use crate::radix::{Digits, at_rank, key, score};
use crate::report::Counts;
use crate::{Cut, Dropped, Error, FilterReport, Gates, Pool, PoolFile, Result, Settings};

/// Rows that are looked at together.
const ROWS: usize = 4096;
/// The same with embeddings: 3 MiB of 768 numbers in 16 bits.
const EMBEDDED: usize = 2048;

/// Filters a pool by a preset and writes the subset file; `progress` hears of rows as they are done
/// and says whether to continue. Nothing is written when it says no.
///
/// # Errors
/// When the settings do not fit the preset, the pool lacks a column or an array, or a file is
/// damaged; it names file and row.
pub fn run(
    pool: &Pool,
    settings: &Settings,
    out: &Path,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<Option<FilterReport>> {
    settings.check()?;
    let threshold = match (settings.cut, &settings.score) {
        (Some(Cut::Threshold(threshold)), _) => Some(threshold),
        (Some(Cut::Fraction(fraction)), Some(column)) => {
            Some(threshold_at(pool, column, fraction)?)
        }
        _ => None,
    };
    let gates = Gates::open(settings, threshold)?;
    let names = gates.names();
    let empty = Counts::new(names.len(), gates.score.is_some());
    let done = Mutex::new((SubsetWriter::new(out), empty.clone()));
    let part = |part: Result<Part>| -> Result<bool> {
        let mut counts = empty.clone();
        let ids = part?.ids(&gates, &mut counts)?;
        let Ok(mut done) = done.lock() else { return Ok(false) };
        let (writer, sums) = &mut *done;
        ids.into_iter().try_for_each(|id| writer.push(id))?;
        sums.add(&counts);
        drop(done);
        Ok(progress(counts.pairs))
    };
    let both = |a, b| Ok(a && b);
    let file = |file| Input::open(file, &gates)?.par_bridge().map(part).try_reduce(|| true, both);
    if !pool.files.par_iter().map(file).try_reduce(|| true, both)? {
        return Ok(None);
    }
    let Ok((writer, counts)) = done.into_inner() else { return Ok(None) };
    writer.finish()?;
    let dropped = names.into_iter().zip(&counts.dropped);
    let least = gates.gates.iter().find_map(|gate| match gate {
        crate::Gate::Score(least) => Some(*least),
        _ => None,
    });
    Ok(Some(FilterReport {
        filter: settings.preset.name().to_owned(),
        files: pool.files.len(),
        pairs: counts.pairs,
        kept: counts.kept,
        dropped: dropped.map(|(gate, &pairs)| Dropped { gate, pairs }).collect(),
        threshold: least.filter(|least| least.is_finite()),
        scores: counts.bins(),
        gates: Vec::new(),
        clustering: None,
    }))
}

/// The score at a fraction of the pool from the best, as DataComp's `get_threshold` has it: that of
/// rank `int(rows * fraction)`. No number when there are fewer scores.
fn threshold_at(pool: &Pool, column: &str, fraction: f64) -> Result<f64> {
    let mut rows = 0;
    let mut bits = 32;
    for file in &pool.files {
        let table = ParquetFile::open(&file.table)?;
        rows += table.rows();
        let name = pool::column_of(table.schema(), &file.table, &[column])?;
        let narrow = table
            .schema()
            .field_with_name(name)
            .is_ok_and(|field| matches!(field.data_type(), DataType::Float32 | DataType::Float16));
        bits = if narrow { bits } else { 64 };
    }
    let rank = (rows as f64 * fraction) as u64;
    let pass = |prefix: crate::radix::Prefix| {
        let parts = pool.files.par_iter().map(|file| {
            let mut digits = Digits::new();
            let mut row = 0;
            for batch in pool::batches(&file.table, &[column], 1 << 16)? {
                let batch = batch?;
                let scores = finite(&batch, &file.table, column, row)?;
                row += batch.num_rows();
                for score in scores.iter().flatten() {
                    prefix.count(key(score, bits), &mut digits);
                }
            }
            Ok(digits)
        });
        parts.try_reduce(Digits::new, |a, b| Ok(a.merge(&b)))
    };
    let found = at_rank(bits, |_| Some(rank), pass)?;
    Ok(found.map_or(f64::NAN, |ranked| score(ranked.key, bits)))
}

/// The scores of a batch, whose first row has this number in its table.
fn finite(batch: &RecordBatch, table: &Path, column: &str, first: usize) -> Result<Float64Array> {
    let scores = pool::numbers(batch, table, column)?;
    match scores.iter().position(|score| score.is_some_and(f64::is_nan)) {
        Some(at) => Err(Error::damaged(table, format!("row {}: {column} is NaN", first + at))),
        None => Ok(scores),
    }
}

/// A file of a pool, some rows after the other.
struct Input<'a> {
    file: &'a PoolFile,
    batches: clip_corpus::Batches,
    embeddings: Option<MatrixFile>,
    names: Names<'a>,
    next: usize,
}

/// The columns that a file has of what the gates need.
#[derive(Clone)]
struct Names<'a> {
    text: Option<&'a str>,
    size: Option<(&'a str, &'a str)>,
    score: Option<&'a str>,
    english: Option<&'a str>,
}

impl<'a> Input<'a> {
    fn open(file: &'a PoolFile, gates: &'a Gates) -> Result<Self> {
        let path = &file.table;
        let table = ParquetFile::open(path)?;
        let schema = table.schema().clone();
        let column = |names: &[&'a str]| pool::column_of(&schema, path, names);
        let names = Names {
            text: gates.needs_text().then(|| column(&TEXT)).transpose()?,
            size: if gates.needs_size() { Some((column(&WIDTH)?, column(&HEIGHT)?)) } else { None },
            score: gates.score.as_deref().map(|name| column(&[name])).transpose()?,
            english: gates.english_column.as_deref().map(|name| column(&[name])).transpose()?,
        };
        column(&[columns::UID])?;
        let mut wanted = vec![columns::UID, STATUS];
        wanted.extend(names.text);
        wanted.extend(names.size.iter().flat_map(|(width, height)| [*width, *height]));
        wanted.extend(names.score.iter().chain(&names.english));
        let embeddings = match (&gates.embedding, &gates.centroids) {
            (Some(array), Some(centroids)) => {
                let of = (centroids.width(), Path::new("the centroids"));
                Some(matrix(file, array, table.rows(), of)?)
            }
            _ => None,
        };
        let rows = if embeddings.is_some() { EMBEDDED } else { ROWS };
        let batches = pool::batches(path, &wanted, rows)?;
        Ok(Self { file, batches, embeddings, names, next: 0 })
    }
}

/// The embeddings beside a table, of which there must be one for each row, as wide as those of
/// another file.
pub(crate) fn matrix(
    file: &PoolFile,
    array: &str,
    rows: u64,
    (width, of): (usize, &Path),
) -> Result<MatrixFile> {
    let path = &file.embeddings;
    if !path.is_file() {
        let why = format!("the embeddings of {} are not there", file.table.display());
        return Err(Error::damaged(path, why));
    }
    let matrix = MatrixFile::open(path, array)?;
    if matrix.width() != width {
        let (own, of) = (matrix.width(), of.display());
        let why = format!("{array} has {own} numbers a row, {of} {width}");
        return Err(Error::Settings(format!("{}: {why}", path.display())));
    }
    let (found, table) = (matrix.rows() as u64, file.table.display());
    if found != rows {
        let why = format!("{array} has {found} rows, {table} {rows}");
        let row = found.min(rows);
        return Err(Error::damaged(path, format!("row {row} is in one of the two only: {why}")));
    }
    Ok(matrix)
}

impl<'a> Iterator for Input<'a> {
    type Item = Result<Part<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.batches.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(error.into())),
        };
        let block = match self.embeddings.as_mut().map(|m| m.read(batch.num_rows())).transpose() {
            Ok(block) => block,
            Err(error) => return Some(Err(error)),
        };
        let first = self.next;
        self.next += batch.num_rows();
        Some(Ok(Part { file: self.file, names: self.names.clone(), first, batch, block }))
    }
}

/// Some rows of a file.
struct Part<'a> {
    file: &'a PoolFile,
    names: Names<'a>,
    first: usize,
    batch: RecordBatch,
    block: Option<Block>,
}

impl Part<'_> {
    /// The ids of the rows that pass all gates.
    fn ids(&self, gates: &Gates, counts: &mut Counts) -> Result<Vec<u128>> {
        let (batch, table) = (&self.batch, &*self.file.table);
        let texts = |name: Option<&str>| name.map(|n| pool::texts(batch, table, n)).transpose();
        let numbers = |name: Option<&str>| name.map(|n| pool::numbers(batch, table, n)).transpose();
        let (width, height) = self.names.size.unzip();
        let uids = pool::texts(batch, table, columns::UID)?;
        let status = texts(batch.column_by_name(STATUS).map(|_| STATUS))?;
        let text = texts(self.names.text)?;
        let (width, height) = (numbers(width)?, numbers(height)?);
        let score = self.names.score.map(|name| finite(batch, table, name, self.first));
        let score = score.transpose()?;
        let narrow = self.names.score.is_some_and(|name| {
            batch.column_by_name(name).is_some_and(|c| *c.data_type() == DataType::Float32)
        });
        let english = self.names.english.map(|name| verdicts(batch, table, name)).transpose()?;
        let number = |column: &Option<Float64Array>, at: usize| {
            column.as_ref().filter(|c| c.is_valid(at)).map_or(f64::NAN, |c| c.value(at))
        };
        let mut space = LanguageWorkspace::default();
        let mut passed = Vec::new();
        for at in 0..batch.num_rows() {
            let row = Row {
                text: text.as_ref().filter(|t| t.is_valid(at)).map_or("", |t| t.value(at)),
                width: number(&width, at),
                height: number(&height, at),
                score: number(&score, at),
                narrow,
                english: english.as_ref().is_some_and(|english| english[at]),
            };
            let fetched = status.as_ref().is_none_or(|s| s.is_null(at) || s.value(at) == "success");
            let id = uid_number(uids.value(at)).filter(|_| uids.is_valid(at));
            let Some(id) = id.filter(|_| fetched) else {
                counts.dropped[usize::from(fetched)] += 1;
                counts.score(row.score, false);
                continue;
            };
            match gates.gates.iter().position(|gate| !gate.passes(&row, &mut space)) {
                Some(gate) => {
                    counts.dropped[gate + 2] += 1;
                    counts.score(row.score, false);
                }
                None => passed.push((at, id, row.score)),
            }
        }
        counts.pairs += batch.num_rows() as u64;
        let near = self.near(gates, &passed)?;
        let mut ids = Vec::with_capacity(passed.len());
        for (place, (_, id, score)) in passed.into_iter().enumerate() {
            let kept = near.as_ref().is_none_or(|near| near[place]);
            counts.score(score, kept);
            if kept {
                ids.push(id);
            } else {
                counts.dropped[gates.gates.len() + 2] += 1;
            }
        }
        counts.kept += ids.len() as u64;
        Ok(ids)
    }

    /// Whether the images of these rows are near the target set, where that is asked.
    fn near(&self, gates: &Gates, rows: &[(usize, u128, f64)]) -> Result<Option<Vec<bool>>> {
        let (Some(centroids), Some(block)) = (&gates.centroids, &self.block) else {
            return Ok(None);
        };
        let mut numbers = Vec::with_capacity(rows.len() * centroids.width());
        for (at, ..) in rows {
            let failed = |row| not_finite(&self.file.embeddings, row);
            block.append(*at, &mut numbers).map_err(failed)?;
        }
        Ok(Some(centroids.near(&numbers)))
    }
}

/// Which rows a column calls English: by the label `en`, or by being true.
fn verdicts(batch: &RecordBatch, table: &Path, name: &str) -> Result<Vec<bool>> {
    if let Some(column) = batch.column_by_name(name).and_then(|c| c.as_boolean_opt()) {
        return Ok(column.iter().map(|english| english == Some(true)).collect());
    }
    let column: StringArray = pool::texts(batch, table, name)?;
    Ok(column.iter().map(|label| label == Some("en")).collect())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
