//! Matrices of a model, whole or quantised.

use std::io::BufRead;

use super::input::Input;

/// Numbers of a row that one code stands for, at most; fastText's own is 2. A file of codes thus
/// becomes at most 64 times as long in memory.
const WIDEST: usize = 16;

pub(super) struct Matrix {
    pub(super) columns: usize,
    pub(super) data: Vec<f32>,
}

fn shape(input: &mut Input<impl BufRead>) -> Result<(usize, usize), String> {
    let (rows, columns) = (input.i64()?, input.i64()?);
    let fits = |n: i64| usize::try_from(n).ok().filter(|n| (1..1 << 32).contains(n));
    let shape = fits(rows).zip(fits(columns)).filter(|(rows, columns)| rows * columns < 1 << 34);
    shape.ok_or_else(|| format!("a matrix of {rows} by {columns}"))
}

pub(super) fn matrix(input: &mut Input<impl BufRead>) -> Result<Matrix, String> {
    let (rows, columns) = shape(input)?;
    Ok(Matrix { columns, data: input.floats(rows * columns)? })
}

/// A matrix whose rows are a norm times parts from a code book; decoded here once and for all.
pub(super) fn quantised_matrix(input: &mut Input<impl BufRead>) -> Result<Matrix, String> {
    let norms = input.flag()?;
    let (rows, columns) = shape(input)?;
    let length = usize::try_from(input.i32()?).map_err(|_| "a code book of no size")?;
    let codes = input.bytes(length)?;
    let book = Book::read(input)?;
    let norms = if norms {
        let codes = input.bytes(rows)?;
        Some((codes, Book::read(input)?))
    } else {
        None
    };
    let parts = columns.div_ceil(book.width.max(1));
    if !(1..=WIDEST).contains(&book.width)
        || codes.len() < rows * parts
        || book.centroids.len() < columns * 256
    {
        return Err("a code book of another size".into());
    }
    let mut data = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        let norm = match &norms {
            Some((codes, book)) => {
                *book.centroids.get(codes[row] as usize).ok_or("a norm is missing")?
            }
            None => 1.0,
        };
        for part in 0..parts {
            let code = codes[row * parts + part] as usize;
            // The last part may be narrower than the others.
            let width = book.width.min(columns - part * book.width);
            let start = part * 256 * book.width + code * width;
            data.extend(book.centroids[start..start + width].iter().map(|value| norm * value));
        }
    }
    Ok(Matrix { columns, data })
}

/// A product quantiser's centroids: 256 for each part of a row.
struct Book {
    width: usize,
    centroids: Vec<f32>,
}

impl Book {
    fn read(input: &mut Input<impl BufRead>) -> Result<Self, String> {
        let (dim, _parts) = (input.i32()?, input.i32()?);
        let (width, _last) = (input.i32()?, input.i32()?);
        let dim = usize::try_from(dim).ok().filter(|&dim| dim < 1 << 20);
        let dim = dim.ok_or("a code book of no size")?;
        Ok(Self { width: width.max(0) as usize, centroids: input.floats(dim * 256)? })
    }
}
