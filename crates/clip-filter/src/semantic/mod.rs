//! Selection by the embeddings of images: clusters by k-means, SemDeDup within them (Abbas et al.
//! 2023, arXiv 2303.09540), and the clusters that a target set is in.

mod decided;
mod dedup;
mod embeddings;
mod kmeans;
mod members;
mod options;
mod stage;

use std::path::Path;

use clip_corpus::SubsetWriter;
use clip_format::npy;
use ndarray::Array2;
use rayon::prelude::*;

use crate::{Dropped, Error, FilterReport, Pool, Result};
use decided::{Decided, Outcome, SemanticGates};
use dedup::ranked;
use embeddings::{Embeddings, matrix, view};
use kmeans::{KMeans, least, nearest, train};
pub use options::{Clustering, Clusters, Keep, Semantic};
pub use stage::{SemanticAccount, SemanticStage};

/// Bytes of the rows that k-means is trained on, at most.
const SAMPLE: usize = 2 << 30;
/// Rows for each centroid that it is trained on, at most: faiss's.
const POINTS: usize = 256;

/// The rows that k-means was trained on, and what it made of them.
type Trained = Option<(usize, KMeans)>;

/// The label of a row that is dropped before clusters are looked at.
const NONE: u32 = u32::MAX;

impl Semantic {
    /// Selects pairs of a pool and writes the subset file. Beside the rows that k-means is trained
    /// on (2 GiB at most), memory has some 40 bytes a row; SemDeDup writes the embeddings to
    /// `scratch` in the order of clusters, 4 bytes a number.
    ///
    /// # Errors
    /// When a setting is out of range, or a file is damaged or does not fit; it names file and row.
    pub fn run(&self, pool: &Pool, scratch: &Path, out: &Path) -> Result<FilterReport> {
        self.check()?;
        let rows = Embeddings::of_pool(pool, &self.embedding)?;
        let (decided, clustering) = self.decide(&rows, scratch)?;
        let mut writer = SubsetWriter::new(out);
        let mut gates = SemanticGates::new(self, &decided);
        for (row, id) in decided.ids.iter().enumerate() {
            gates.add(&decided, row, None);
            if decided.outcomes[row] == Outcome::Kept {
                writer.push(*id)?;
            }
        }
        writer.finish()?;
        let count = |outcome| decided.count(outcome);
        let absent = "not fetched, or no uid of 32 hex digits".to_owned();
        let mut dropped = vec![(absent, count(Outcome::Absent))];
        if clustering.wanted.is_some() {
            dropped.push(("not in a cluster of the targets".to_owned(), count(Outcome::Far)));
        }
        let repeated = |e| (format!("within {e} of another image"), count(Outcome::Repeated));
        dropped.extend(self.epsilon.map(repeated));
        Ok(FilterReport {
            filter: "semantic".into(),
            files: pool.files.len(),
            pairs: decided.ids.len() as u64,
            kept: count(Outcome::Kept),
            dropped: dropped.into_iter().map(|(gate, pairs)| Dropped { gate, pairs }).collect(),
            threshold: None,
            scores: Vec::new(),
            gates: gates.reports(),
            clustering: Some(clustering),
        })
    }

    /// Decides about all rows; see [`Semantic::run`] for what it takes.
    fn decide(&self, rows: &Embeddings, scratch: &Path) -> Result<(Decided, Clustering)> {
        let (centroids, trained) = self.centroids(rows)?;
        if let Some(path) = &self.save {
            write_matrix(path, &centroids)?;
        }
        let wanted = self.wanted(&centroids)?;
        let mut decided = assign(rows, &centroids, wanted.as_deref())?;
        let near = decided.labels.iter().zip(&decided.outcomes);
        let near =
            near.map(|(&label, outcome)| if *outcome == Outcome::Kept { label } else { NONE });
        let near: Vec<u32> = near.collect();
        let order = ranked(&near, &decided, centroids.nrows(), self.keep, self.seed);
        let sizes = (0..centroids.nrows()).map(|cluster| order.rows_of(cluster).len());
        let largest = sizes.max().unwrap_or(0);
        if let Some(epsilon) = self.epsilon {
            decided.before = dedup::repeated(rows, &order, epsilon, scratch)?;
            for (outcome, before) in decided.outcomes.iter_mut().zip(&decided.before) {
                if before.repeated {
                    *outcome = Outcome::Repeated;
                }
            }
        }
        let clustering = Clustering {
            clusters: centroids.nrows(),
            wanted: wanted.map(|wanted| wanted.iter().filter(|wanted| **wanted).count()),
            trained_on: trained.as_ref().map(|(rows, _)| *rows),
            iterations: trained.as_ref().map(|(_, trained)| trained.iterations),
            inertia: trained.as_ref().map(|(_, trained)| trained.inertia),
            largest,
        };
        Ok((decided, clustering))
    }

    /// The centroids; where k-means made them, of how many rows, and how.
    fn centroids(&self, rows: &Embeddings) -> Result<(Array2<f32>, Trained)> {
        let clusters = match &self.clusters {
            Clusters::File(path) => return Ok((matrix(path, Some(rows.width()))?, None)),
            Clusters::Train(clusters) => *clusters,
        };
        let most = (clusters.saturating_mul(POINTS)).min(SAMPLE / (4 * rows.width()));
        let sample = rows.sample(most)?;
        if sample.nrows() < clusters {
            let why = format!("{clusters} clusters of {} rows", sample.nrows());
            return Err(Error::Settings(format!("{why}\nhint: fewer clusters")));
        }
        let mut trained = train(sample.view(), clusters, self.seed);
        let centroids = std::mem::take(&mut trained.centroids);
        Ok((centroids, Some((sample.nrows(), trained))))
    }

    /// The clusters that the targets are in; nothing where all are wanted.
    fn wanted(&self, centroids: &Array2<f32>) -> Result<Option<Vec<bool>>> {
        if self.targets.is_empty() {
            return Ok(None);
        }
        let mut wanted = vec![false; centroids.nrows()];
        for path in &self.targets {
            let mut targets = matrix(path, Some(centroids.ncols()))?;
            for (row, mut numbers) in targets.outer_iter_mut().enumerate() {
                let zero = || Error::damaged(path, format!("row {row}: an embedding of zeros"));
                embeddings::normalise(numbers.as_slice_mut().unwrap_or_default())
                    .ok_or_else(zero)?;
            }
            nearest(targets.view(), centroids).iter().for_each(|&at| wanted[at as usize] = true);
        }
        Ok(Some(wanted))
    }
}

/// The cluster of each row, and whether it is one of those that are wanted.
fn assign(rows: &Embeddings, centroids: &Array2<f32>, wanted: Option<&[bool]>) -> Result<Decided> {
    let mut decided = Decided::default();
    let places = |with: bool| -> Vec<usize> {
        let wanted = wanted.into_iter().flatten().enumerate();
        wanted.filter(|(_, wanted)| **wanted == with).map(|(place, _)| place).collect()
    };
    let (with, without) = (places(true), places(false));
    rows.each(|batch| {
        let rows = view(&batch.numbers, centroids.ncols())?;
        let own = nearest(rows, centroids);
        let distances: Vec<f64> = own
            .par_iter()
            .enumerate()
            .map(|(at, &label)| distance(rows.row(at), centroids.row(label as usize)))
            .collect();
        decided.distances.extend(distances);
        if wanted.is_some() {
            let near = least(rows, centroids, with.clone());
            let far = least(rows, centroids, without.clone());
            decided.margins.extend(far.iter().zip(&near).map(|(far, near)| far - near));
        }
        for (id, label) in batch.ids.into_iter().zip(own) {
            let near = wanted.is_none_or(|wanted| wanted[label as usize]);
            decided.ids.push(id.unwrap_or(0));
            decided.labels.push(label);
            decided.outcomes.push(match id {
                None => Outcome::Absent,
                Some(_) if near => Outcome::Kept,
                Some(_) => Outcome::Far,
            });
        }
        Ok(())
    })?;
    Ok(decided)
}

/// 1 minus the cosine of a row, which is normalised, and a centroid, in 64 bits: rows are sorted by
/// it.
fn distance(row: ndarray::ArrayView1<f32>, centroid: ndarray::ArrayView1<f32>) -> f64 {
    let (mut product, mut square) = (0.0, 0.0);
    for (&a, &b) in row.iter().zip(&centroid) {
        product += f64::from(a) * f64::from(b);
        square += f64::from(b) * f64::from(b);
    }
    if square > 0.0 { 1.0 - product / square.sqrt() } else { 1.0 }
}

fn write_matrix(path: &Path, matrix: &Array2<f32>) -> Result<()> {
    let numbers: Vec<u8> = matrix.iter().flat_map(|number| number.to_le_bytes()).collect();
    let written = npy::write(path, "'<f4'", &[matrix.nrows(), matrix.ncols()], &numbers);
    Ok(written.map_err(clip_corpus::Error::from)?)
}

#[cfg(test)]
mod tests;
