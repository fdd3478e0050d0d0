//! The embeddings of a pool's images, normalised, some rows at a time.

use std::path::Path;

use arrow::array::Array;
use clip_corpus::columns::UID;
use clip_corpus::{ParquetFile, uid_number};
use ndarray::Array2;
use rayon::prelude::*;

use crate::centroids::not_finite;
use crate::filter::matrix as matrix_of;
use crate::npz::{Block, MatrixFile};
use crate::pool::{self, STATUS};
use crate::{Error, Pool, PoolFile, Result};

/// Rows that are read at a time.
const ROWS: usize = 8192;

/// The embeddings of a pool.
pub(super) struct Embeddings<'a> {
    pool: &'a Pool,
    array: &'a str,
    width: usize,
    rows: usize,
}

/// Some rows.
pub(super) struct Batch {
    /// The number of the first row in the pool.
    pub(super) first: usize,
    /// The id of each row, where it was fetched and has one.
    pub(super) ids: Vec<Option<u128>>,
    /// Their embeddings, `[rows, width]`, each of norm 1.
    pub(super) numbers: Vec<f32>,
}

impl<'a> Embeddings<'a> {
    /// Looks at the sizes of all files.
    pub(super) fn open(pool: &'a Pool, array: &'a str) -> Result<Self> {
        let none = || Error::Settings("the pool has no tables".into());
        let first = pool.files.first().ok_or_else(none)?;
        if !first.embeddings.is_file() {
            let (table, path) = (first.table.display(), first.embeddings.display());
            let why = format!("{path}: the embeddings of {table} are not there");
            return Err(Error::Settings(why));
        }
        let width = MatrixFile::npz(&first.embeddings, array)?.width();
        let mut rows = 0;
        for file in &pool.files {
            let table = ParquetFile::open(&file.table)?.rows();
            matrix_of(file, array, table, (width, first.embeddings.as_path()))?;
            rows += table as usize;
        }
        // Rows have numbers of 32 bits.
        if u32::try_from(rows).is_err() {
            return Err(Error::Settings(format!("{rows} rows are more than 2^32")));
        }
        Ok(Self { pool, array, width, rows })
    }

    /// Numbers of an embedding.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Rows of the pool.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Visits all rows, in the order of the pool.
    pub(super) fn each(&self, mut visit: impl FnMut(Batch) -> Result<()>) -> Result<()> {
        let mut first = 0;
        for file in &self.pool.files {
            let mut embeddings = MatrixFile::npz(&file.embeddings, self.array)?;
            for batch in pool::batches(&file.table, &[UID, STATUS], ROWS)? {
                let batch = batch?;
                let rows = batch.num_rows();
                let block = embeddings.read(rows)?;
                let uids = pool::texts(&batch, &file.table, UID)?;
                let status = batch.column_by_name(STATUS).map(|_| STATUS);
                let status =
                    status.map(|name| pool::texts(&batch, &file.table, name)).transpose()?;
                let fetched = |at: usize| {
                    status.as_ref().is_none_or(|s| s.is_null(at) || s.value(at) == "success")
                };
                let id = |at: usize| {
                    uid_number(uids.value(at)).filter(|_| uids.is_valid(at) && fetched(at))
                };
                let ids: Vec<Option<u128>> = (0..rows).map(id).collect();
                let numbers = normalised(file, &block, &ids, self.width)?;
                visit(Batch { first, ids, numbers })?;
                first += rows;
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
