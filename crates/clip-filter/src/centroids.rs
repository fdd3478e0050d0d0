//! Clusters of images: the nearest centroid of an embedding, and whether it is near a target set.

use std::path::{Path, PathBuf};

use clip_corpus::IoContext;
use clip_format::npy;
use ndarray::{Array2, ArrayView2, s};
use rayon::prelude::*;

use crate::npz::MatrixFile;
use crate::{Error, Result};

/// Centroids that embeddings are multiplied with at a time, to bound the memory of the products.
const BLOCK: usize = 4096;
/// Embeddings of the target set that are read at a time.
const ROWS: usize = 1024;

/// Centroids of a pool, some of which are wanted.
pub struct Centroids {
    matrix: Array2<f32>,
    wanted: Vec<bool>,
}

impl Centroids {
    /// Reads the centroids, `.npy` of [centroids, width], and finds those that are nearest to an
    /// image of the target set: embeddings of `[images, width]`, or numbers of centroids, `[n]`.
    ///
    /// # Errors
    /// When a file cannot be read, is no such matrix or has another width; it names file and row.
    pub fn open(centroids: &Path, targets: &[PathBuf]) -> Result<Self> {
        let mut file = MatrixFile::npy(centroids)?;
        let (rows, width) = (file.rows(), file.width());
        let mut numbers = Vec::with_capacity(rows * width);
        let block = file.read(rows)?;
        for row in 0..rows {
            block.append(row, &mut numbers).map_err(|row| not_finite(centroids, row))?;
        }
        let matrix = Array2::from_shape_vec((rows, width), numbers);
        let matrix = matrix.map_err(|e| Error::damaged(centroids, e))?;
        if rows == 0 {
            return Err(Error::damaged(centroids, "no centroids"));
        }
        let mut found = Self { matrix, wanted: vec![false; rows] };
        for path in targets {
            found.add_targets(path)?;
        }
        Ok(found)
    }

    /// Numbers of a centroid.
    pub fn width(&self) -> usize {
        self.matrix.ncols()
    }

    /// How many centroids are wanted, and how many there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.wanted.iter().filter(|wanted| **wanted).count(), self.wanted.len())
    }

    fn add_targets(&mut self, path: &Path) -> Result<()> {
        let bytes = std::fs::read(path).at(path)?;
        let array = npy::parse(&bytes).map_err(|reason| Error::damaged(path, reason))?;
        if array.shape.len() == 1 {
            let numbers = npy::numbers(&bytes).map_err(|reason| Error::damaged(path, reason))?;
            for (row, number) in numbers.iter().enumerate() {
                let known = *number >= 0.0 && number.fract() == 0.0;
                let wanted = self.wanted.get_mut(*number as usize).filter(|_| known);
                let none = || Error::damaged(path, format!("row {row}: no centroid {number}"));
                *wanted.ok_or_else(none)? = true;
            }
            return Ok(());
        }
        drop(bytes);
        let mut file = MatrixFile::npy(path)?;
        if file.width() != self.width() {
            let why = format!("{} numbers a row, the centroids {}", file.width(), self.width());
            return Err(Error::Settings(format!("{}: {why}", path.display())));
        }
        let mut blocks = Vec::new();
        while let Some(block) = Some(file.read(ROWS)?).filter(|block| block.rows() > 0) {
            blocks.push(block);
        }
        let nearest: Vec<Vec<usize>> = blocks
            .par_iter()
            .map(|block| {
                let mut numbers = Vec::with_capacity(block.rows() * self.width());
                for row in 0..block.rows() {
                    block.append(row, &mut numbers).map_err(|row| not_finite(path, row))?;
                }
                Ok(self.nearest(&numbers))
            })
            .collect::<Result<_>>()?;
        nearest.into_iter().flatten().for_each(|centroid| self.wanted[centroid] = true);
        Ok(())
    }

    /// The centroid with the largest product for each embedding, the first of equal ones.
    pub(crate) fn nearest(&self, embeddings: &[f32]) -> Vec<usize> {
        let shape = (embeddings.len() / self.width(), self.width());
        let Ok(rows) = ArrayView2::from_shape(shape, embeddings) else { return Vec::new() };
        let mut best = vec![(f32::NEG_INFINITY, 0); shape.0];
        for from in (0..self.matrix.nrows()).step_by(BLOCK) {
            let to = (from + BLOCK).min(self.matrix.nrows());
            let products = rows.dot(&self.matrix.slice(s![from..to, ..]).t());
            for (products, best) in products.outer_iter().zip(&mut best) {
                for (at, &product) in products.iter().enumerate() {
                    if product > best.0 {
                        *best = (product, from + at);
                    }
                }
            }
        }
        best.into_iter().map(|(_, centroid)| centroid).collect()
    }

    /// Whether the nearest centroid of each embedding is wanted.
    pub(crate) fn near(&self, embeddings: &[f32]) -> Vec<bool> {
        self.nearest(embeddings).into_iter().map(|centroid| self.wanted[centroid]).collect()
    }
}

/// An embedding with a number that is none.
pub(crate) fn not_finite(path: &Path, row: usize) -> Error {
    Error::damaged(path, format!("row {row}: an embedding that is not finite"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, descr: &str, shape: &[usize], numbers: &[f32]) {
        let mut bytes = npy::header(descr, shape);
        numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn the_nearest_is_by_product_and_the_first_of_equals() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write(&at("c.npy"), "'<f4'", &[4, 2], &[1.0, 0.0, 0.0, 1.0, 0.0, 1.0, -3.0, 0.0]);
        write(&at("t.npy"), "'<f4'", &[2, 2], &[0.1, 0.9, 0.2, 0.8]);
        let centroids = Centroids::open(&at("c.npy"), &[at("t.npy")]).unwrap();
        assert_eq!(centroids.counts(), (1, 4));
        assert_eq!(centroids.nearest(&[1.0, 0.5, 0.0, 2.0, -1.0, -1.0]), [0, 1, 3]);
        assert_eq!(centroids.near(&[1.0, 0.5, 0.0, 2.0]), [false, true]);
        // The numbers themselves.
        let mut numbers = npy::header("'<i8'", &[2]);
        [3i64, 0].iter().for_each(|number| numbers.extend(number.to_le_bytes()));
        std::fs::write(at("n.npy"), &numbers).unwrap();
        let centroids = Centroids::open(&at("c.npy"), &[at("n.npy"), at("t.npy")]).unwrap();
        assert_eq!(centroids.counts(), (3, 4));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write(&at("c.npy"), "'<f4'", &[1, 2], &[1.0, 0.0]);
        write(&at("wide.npy"), "'<f4'", &[1, 3], &[1.0, 0.0, 0.0]);
        write(&at("nan.npy"), "'<f4'", &[2, 2], &[1.0, 0.0, f32::NAN, 0.0]);
        write(&at("number.npy"), "'<f4'", &[2], &[0.0, 7.0]);
        for (target, reason) in [
            ("wide.npy", "3 numbers a row, the centroids 2"),
            ("nan.npy", "nan.npy: row 1: an embedding that is not finite"),
            ("number.npy", "number.npy: row 1: no centroid 7"),
        ] {
            let error = Centroids::open(&at("c.npy"), &[at(target)]).err().unwrap().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let error = Centroids::open(&at("nan.npy"), &[]).err().unwrap().to_string();
        assert!(error.contains("nan.npy: row 1"), "{error}");
    }
}
