//! SemDeDup: of images of a cluster that are alike, the first in the cluster's order stays.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use clip_corpus::IoContext;
use ndarray::{ArrayView2, s};
use rayon::prelude::*;

use super::decided::{Before, Decided};
use super::embeddings::{Embeddings, view};
use super::kmeans::mix;
use super::members::{Members, members};
use super::options::Keep;
use crate::Result;

/// Rows of a cluster that are compared with as many others at a time.
const TILE: usize = 1024;
/// Products in 32 bits are this exact at least; what is nearer to the bound is computed in 64.
const UNSURE: f64 = 1e-4;

/// The rows of each cluster in the order of SemDeDup's code: by distance to the centroid, those
/// that are equal in the pool's order ("easy" is "hard" reversed). Rows with a label beyond are in
/// none.
pub(super) fn ranked(
    labels: &[u32],
    decided: &Decided,
    clusters: usize,
    keep: Keep,
    seed: u64,
) -> Members {
    let Decided { distances, ids, .. } = decided;
    let mut order = members(labels, clusters);
    let draw = |row: u32| mix(seed, ids[row as usize] as u64 ^ (ids[row as usize] >> 64) as u64);
    let far = |a: &u32, b: &u32| distances[*b as usize].total_cmp(&distances[*a as usize]);
    for cluster in 0..clusters {
        let rows = order.rows_of_mut(cluster);
        match keep {
            Keep::Hard => rows.sort_by(far),
            Keep::Easy => {
                rows.sort_by(far);
                rows.reverse();
            }
            Keep::Random => rows.sort_by_key(|&row| draw(row)),
        }
    }
    order
}

/// Which rows have a cosine above `1 - epsilon` with one before them in their cluster.
pub(super) fn repeated(
    pool: &Embeddings,
    order: &Members,
    epsilon: f64,
    scratch: &Path,
) -> Result<Vec<Before>> {
    let path = scratch.join("clusters.f32");
    let sorted = Sorted::write(pool, order, &path)?;
    // In the order of clusters.
    let found: Vec<Vec<Before>> = (0..order.clusters())
        .into_par_iter()
        .map(|cluster| {
            pool.check_stopped()?;
            let rows = order.rows_of(cluster).len();
            sorted.repeated(order.start(cluster), rows, 1.0 - epsilon)
        })
        .collect::<Result<_>>()?;
    drop(sorted);
    std::fs::remove_file(&path).at(&path)?;
    let mut before = vec![Before::NONE; pool.rows()];
    for (&row, found) in order.all().iter().zip(found.into_iter().flatten()) {
        before[row as usize] = found;
    }
    Ok(before)
}

/// Embeddings in a file, in the order of clusters.
struct Sorted<'a> {
    file: File,
    path: &'a Path,
    width: usize,
}

impl<'a> Sorted<'a> {
    fn write(pool: &Embeddings, order: &Members, path: &'a Path) -> Result<Self> {
        let width = pool.width();
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        let file = file.at(path)?;
        let mut places = vec![u32::MAX; pool.rows()];
        for (place, &row) in order.all().iter().enumerate() {
            places[row as usize] = place as u32;
        }
        pool.each(|batch| {
            for (at, numbers) in batch.numbers.chunks(width).enumerate() {
                let place = places[batch.first + at];
                if place != u32::MAX {
                    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
                    file.write_all_at(&bytes, u64::from(place) * 4 * width as u64).at(path)?;
                }
            }
            Ok(())
        })?;
        Ok(Self { file, path, width })
    }

    fn read(&self, first: usize, rows: usize) -> Result<Vec<f32>> {
        let mut bytes = vec![0; rows * self.width * 4];
        let offset = (first * self.width * 4) as u64;
        self.file.read_exact_at(&mut bytes, offset).at(self.path)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|&number| f32::from_le_bytes(number)).collect())
    }

    /// Which of the rows of a cluster, which begins at `first`, have a product above the bound with
    /// one before them.
    fn repeated(&self, first: usize, rows: usize, bound: f64) -> Result<Vec<Before>> {
        let mut repeated = vec![Before::NONE; rows];
        for from in (0..rows).step_by(TILE) {
            let count = TILE.min(rows - from);
            let own = self.read(first + from, count)?;
            let found = &mut repeated[from..from + count];
            for before in (0..=from).step_by(TILE) {
                let earlier = TILE.min(rows - before);
                if before == from {
                    compare(view(&own, self.width)?, view(&own, self.width)?, true, bound, found);
                } else {
                    let others = self.read(first + before, earlier)?;
                    let others = view(&others, self.width)?;
                    compare(view(&own, self.width)?, others, false, bound, found);
                }
            }
        }
        Ok(repeated)
    }
}

/// Marks the rows with a product above the bound: with any of the others, or in the same tile with
/// one before.
fn compare(
    own: ArrayView2<f32>,
    others: ArrayView2<f32>,
    same: bool,
    bound: f64,
    found: &mut [Before],
) {
    const ROWS: usize = 128;
    for from in (0..own.nrows()).step_by(ROWS) {
        let to = (from + ROWS).min(own.nrows());
        let others = if same { others.slice(s![..to, ..]) } else { others.view() };
        let products = own.slice(s![from..to, ..]).dot(&others.t());
        for (at, products) in (from..to).zip(products.outer_iter()) {
            let before = if same { at } else { others.nrows() };
            let above = |(other, &product): (usize, &f32)| {
                let product = f64::from(product);
                if (product - bound).abs() > UNSURE {
                    return product > bound;
                }
                let pairs = own.row(at).into_iter().zip(others.row(other));
                pairs.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>() > bound
            };
            let found = &mut found[at];
            let cosine = products.iter().take(before).copied().fold(f32::NEG_INFINITY, f32::max);
            found.cosine = found.cosine.max(cosine);
            if !found.repeated && f64::from(cosine) > bound - UNSURE {
                found.repeated = products.iter().take(before).enumerate().any(above);
            }
        }
    }
}
