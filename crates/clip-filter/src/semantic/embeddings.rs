//! The embeddings of images of a pool or a build, normalised, some rows at a time.

use std::path::{Path, PathBuf};

use arrow::array::{Array, RecordBatch};
use clip_corpus::columns::{ROW, UID, uint64};
use clip_corpus::{ParquetFile, uid_number};
use clip_pipeline::PartInfo;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::centroids::not_finite;
use crate::filter::matrix as matrix_of;
use crate::npz::{Block, MatrixFile};
use crate::pool::{self, STATUS};
use crate::{Error, Pool, PoolFile, Result};

/// Rows that are read at a time.
const ROWS: usize = 8192;

/// Of a pool: its reader is not asked to stop.
fn never() -> bool {
    false
}

/// A table with the embeddings of its rows.
struct Source {
    file: PoolFile,
    /// The part of a build that has the rows that are left of the table.
    left: Option<PathBuf>,
}

/// The embeddings of a pool, or of the rows of a build.
pub(super) struct Embeddings<'a> {
    sources: Vec<Source>,
    array: &'a str,
    stopped: &'a (dyn Fn() -> bool + Sync),
    width: usize,
    rows: usize,
}

/// Some rows.
pub(super) struct Batch {
    /// The number of the first row in the pool.
    pub(super) first: usize,
    /// The id of each row, where it was fetched and has one. Of a build it is the row's number,
    /// where the row is left.
    pub(super) ids: Vec<Option<u128>>,
    /// Their embeddings, `[rows, width]`, each of norm 1.
    pub(super) numbers: Vec<f32>,
}

impl<'a> Embeddings<'a> {
    /// Looks at the sizes of all files of a pool.
    pub(super) fn of_pool(pool: &Pool, array: &'a str) -> Result<Self> {
        let source = |file: &PoolFile| Source { file: file.clone(), left: None };
        Self::open(pool.files.iter().map(source).collect(), array, &never)
    }

    /// The same for the parts of a build, with the embeddings that a stage stored of them.
    pub(super) fn of_parts(
        inputs: &[PartInfo],
        stopped: &'a (dyn Fn() -> bool + Sync),
    ) -> Result<Self> {
        let source = |input: &PartInfo| {
            let stored = input.embeddings.as_ref().ok_or_else(|| {
                let hint =
                    "hint: `clip-data build --from STAGE` does the stage of the scores again";
                let part = input.path.display();
                Error::Settings(format!("{part}: no embeddings are stored of its rows\n{hint}"))
            })?;
            let (table, embeddings) = (stored.rows.clone(), stored.images.clone());
            let file = PoolFile { table, embeddings };
            Ok(Source { file, left: Some(input.path.clone()) })
        };
        let with_rows = inputs.iter().filter(|input| input.rows > 0);
        Self::open(with_rows.map(source).collect::<Result<_>>()?, "img_emb", stopped)
    }

    fn open(
        sources: Vec<Source>,
        array: &'a str,
        stopped: &'a (dyn Fn() -> bool + Sync),
    ) -> Result<Self> {
        let none = || Error::Settings("the pool has no tables".into());
        let first = sources.first().ok_or_else(none)?.file.clone();
        if !first.embeddings.is_file() {
            let (table, path) = (first.table.display(), first.embeddings.display());
            let why = format!("{path}: the embeddings of {table} are not there");
            return Err(Error::Settings(why));
        }
        let width = MatrixFile::open(&first.embeddings, array)?.width();
        let mut rows = 0;
        for Source { file, .. } in &sources {
            let table = ParquetFile::open(&file.table)?.rows();
            matrix_of(file, array, table, (width, first.embeddings.as_path()))?;
            rows += table as usize;
        }
        // Rows have numbers of 32 bits.
        if u32::try_from(rows).is_err() {
            return Err(Error::Settings(format!("{rows} rows are more than 2^32")));
        }
        Ok(Self { sources, array, stopped, width, rows })
    }

    /// Numbers of an embedding.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Rows of the pool.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Fails where the run was asked to stop.
    pub(super) fn check_stopped(&self) -> Result<()> {
        if (self.stopped)() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Visits all rows, in the order of the pool.
    pub(super) fn each(&self, mut visit: impl FnMut(Batch) -> Result<()>) -> Result<()> {
        let mut first = 0;
        for source in &self.sources {
            let file = &source.file;
            let mut embeddings = MatrixFile::open(&file.embeddings, self.array)?;
            let left = source.left.as_deref().map(Left::read).transpose()?;
            let mut found = 0;
            for batch in pool::batches(&file.table, &[UID, STATUS, ROW], ROWS)? {
                self.check_stopped()?;
                let batch = batch?;
                let rows = batch.num_rows();
                let block = embeddings.read(rows)?;
                let ids = match &left {
                    Some(left) => left.ids(&batch, &file.table)?,
                    None => ids(&batch, &file.table)?,
                };
                found += ids.iter().flatten().count();
                let numbers = normalised(file, &block, &ids, self.width)?;
                visit(Batch { first, ids, numbers })?;
                first += rows;
            }
            if let Some(left) = left.filter(|left| left.rows.len() != found) {
                let without = left.rows.len() - found;
                let why =
                    format!("{without} rows of it have no embeddings in {}", file.table.display());
                return Err(Error::damaged(&left.path, why));
            }
        }
        Ok(())
    }

    /// Up to `most` rows that have ids, evenly spread.
    pub(super) fn sample(&self, most: usize) -> Result<Array2<f32>> {
        let most = most.min(self.rows);
        let mut numbers = Vec::new();
        let (mut rows, mut next) = (0, 0);
        self.each(|batch| {
            for (at, id) in batch.ids.iter().enumerate() {
                if batch.first + at < next * self.rows / most.max(1) {
                    continue;
                }
                // A row without an id leaves its turn to the next.
                if id.is_some() && next < most {
                    numbers.extend_from_slice(&batch.numbers[at * self.width..][..self.width]);
                    (rows, next) = (rows + 1, next + 1);
                }
            }
            Ok(())
        })?;
        let shape = Array2::from_shape_vec((rows, self.width), numbers);
        shape.map_err(|e| Error::Settings(e.to_string()))
    }
}

/// The ids of the rows of a pool.
fn ids(batch: &RecordBatch, table: &Path) -> Result<Vec<Option<u128>>> {
    let uids = pool::texts(batch, table, UID)?;
    let status = batch.column_by_name(STATUS).map(|_| STATUS);
    let status = status.map(|name| pool::texts(batch, table, name)).transpose()?;
    let fetched =
        |at: usize| status.as_ref().is_none_or(|s| s.is_null(at) || s.value(at) == "success");
    let id = |at: usize| uid_number(uids.value(at)).filter(|_| uids.is_valid(at) && fetched(at));
    Ok((0..batch.num_rows()).map(id).collect())
}

/// The rows that are left of a table of a build, ascending.
struct Left {
    path: PathBuf,
    rows: Vec<u64>,
}

impl Left {
    fn read(path: &Path) -> Result<Self> {
        let mut rows = Vec::new();
        for batch in clip_corpus::scan(path, &[ROW], 1 << 16)? {
            rows.extend(numbers_of(&batch?, path)?);
        }
        Ok(Self { path: path.to_path_buf(), rows })
    }

    fn ids(&self, batch: &RecordBatch, table: &Path) -> Result<Vec<Option<u128>>> {
        let left = |row: u64| self.rows.binary_search(&row).is_ok().then_some(u128::from(row));
        Ok(numbers_of(batch, table)?.into_iter().map(left).collect())
    }
}

/// The numbers of the rows of a build.
fn numbers_of(batch: &RecordBatch, table: &Path) -> Result<Vec<u64>> {
    let rows = uint64(batch, ROW).ok_or_else(|| Error::damaged(table, "no column `row`"))?;
    Ok(rows.values().to_vec())
}

/// The rows of a block, each of norm 1; rows without an id are zeros, whatever is stored.
fn normalised(
    file: &PoolFile,
    block: &Block,
    ids: &[Option<u128>],
    width: usize,
) -> Result<Vec<f32>> {
    let rows: Vec<Vec<f32>> = ids
        .par_iter()
        .enumerate()
        .map(|(at, id)| {
            let mut numbers = Vec::with_capacity(width);
            if id.is_none() {
                numbers.resize(width, 0.0);
                return Ok(numbers);
            }
            let failed = |row| not_finite(&file.embeddings, row);
            block.append(at, &mut numbers).map_err(failed)?;
            let row = block.first() + at;
            let zero =
                || Error::damaged(&file.embeddings, format!("row {row}: an embedding of zeros"));
            normalise(&mut numbers).ok_or_else(zero)?;
            Ok(numbers)
        })
        .collect::<Result<_>>()?;
    Ok(rows.concat())
}

/// Embeddings as rows of `width` numbers.
pub(super) fn view(numbers: &[f32], width: usize) -> Result<ArrayView2<'_, f32>> {
    let shape = (numbers.len() / width, width);
    ArrayView2::from_shape(shape, numbers).map_err(|e| Error::Settings(e.to_string()))
}

/// Gives a row the norm 1; nothing where it has none.
pub(super) fn normalise(numbers: &mut [f32]) -> Option<()> {
    let square: f64 = numbers.iter().map(|&number| f64::from(number).powi(2)).sum();
    let norm = square.sqrt();
    if norm == 0.0 {
        return None;
    }
    numbers.iter_mut().for_each(|number| *number = (f64::from(*number) / norm) as f32);
    Some(())
}

/// A whole `.npy` file, which may have to be of some width.
pub(super) fn matrix(path: &Path, width: Option<usize>) -> Result<Array2<f32>> {
    let mut file = MatrixFile::npy(path)?;
    let (rows, own) = (file.rows(), file.width());
    if let Some(width) = width.filter(|&width| width != own) {
        let why = format!("{own} numbers a row, the embeddings of the pool {width}");
        return Err(Error::Settings(format!("{}: {why}", path.display())));
    }
    if rows == 0 {
        return Err(Error::damaged(path, "no rows"));
    }
    let block = file.read(rows)?;
    let mut numbers = Vec::with_capacity(rows * own);
    for row in 0..rows {
        block.append(row, &mut numbers).map_err(|row| not_finite(path, row))?;
    }
    Array2::from_shape_vec((rows, own), numbers).map_err(|e| Error::damaged(path, e))
}
