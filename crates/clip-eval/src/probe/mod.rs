//! The linear probe (paper, appendix A.3) and few-shot curves made of it (section 3.1.5).

mod few_shot;
mod lbfgs;
mod line;
mod objective;
mod search;

use clip_torch::tch::Tensor;
use serde::Serialize;

pub use few_shot::{FewShot, ShotScore, Shots, few_shot};
pub use objective::{Data, Fit};
pub use search::{GRID, Options, Trial, lambda, search};

use crate::metrics::{Accuracy, mean_per_class};
use crate::{Error, Result};

/// Features [n, d] and their classes.
pub struct Part {
    /// The features.
    pub features: Tensor,
    /// The classes.
    pub labels: Vec<usize>,
}

/// What a probe scored.
#[derive(Debug, Serialize)]
pub struct ProbeScore {
    /// The strength that was chosen.
    pub lambda: f64,
    /// All that were tried.
    pub trials: Vec<Trial>,
    /// Whether the last fit converged.
    pub converged: bool,
    /// Top-1 on the test part.
    pub acc1: Accuracy,
    /// Top-5, with five classes or more.
    pub acc5: Option<Accuracy>,
    /// Mean over the classes present.
    pub mean_per_class_recall: f64,
    /// Items fitted on at last: train and validation.
    pub fitted: usize,
}

impl Part {
    /// Some of the rows.
    pub fn rows(&self, rows: &[usize]) -> Self {
        let places: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let features = self.features.index_select(0, &Tensor::from_slice(&places));
        Self { features, labels: rows.iter().map(|&row| self.labels[row]).collect() }
    }

    /// Both, one after the other.
    pub fn with(&self, other: &Self) -> Self {
        let features = Tensor::cat(&[&self.features, &other.features], 0);
        Self { features, labels: [&self.labels[..], &other.labels].concat() }
    }

    /// A fifth of the rows, by class and a hash of the seed, as the validation part of the others.
    pub fn split(&self, seed: u64) -> (Self, Self) {
        let mut by_class: std::collections::BTreeMap<usize, Vec<usize>> =
            std::collections::BTreeMap::new();
        for (row, &label) in self.labels.iter().enumerate() {
            by_class.entry(label).or_default().push(row);
        }
        let (mut train, mut val) = (Vec::new(), Vec::new());
        for rows in by_class.values_mut() {
            rows.sort_by_key(|&row| draw(seed, row));
            let held = rows.len().div_ceil(5).min(rows.len() - 1);
            val.extend(&rows[..held]);
            train.extend(&rows[held..]);
        }
        train.sort_unstable();
        val.sort_unstable();
        (self.rows(&train), self.rows(&val))
    }
}

/// A number for a row that depends on seed and row alone.
pub(crate) fn draw(seed: u64, row: usize) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(&(row as u64).to_le_bytes());
    *hasher.finalize().as_bytes()
}

/// Chooses the strength on `val`, fits on `train` and `val`, scores `test` once.
pub fn linear_probe(
    train: &Part,
    val: &Part,
    test: &Part,
    classes: usize,
    options: Options,
    progress: impl FnMut(&Trial),
) -> Result<ProbeScore> {
    if val.labels.is_empty() || test.labels.is_empty() {
        return Err(Error::Probe("no rows to validate or to test on".into()));
    }
    let data = Data::new(&train.features, &train.labels, classes)?;
    let (lambda, trials) = search(&data, (&val.features, &val.labels), options, progress)?;
    drop(data);
    let both = train.with(val);
    let data = Data::new(&both.features, &both.labels, classes)?;
    let fit = data.fit(lambda, options, None)?;
    let scores = fit.scores(&test.features);
    let flat: Vec<f64> = Vec::try_from(scores.contiguous().view([-1]))?;
    let flat: Vec<f32> = flat.into_iter().map(|score| score as f32).collect();
    let rows = flat.chunks_exact(classes).zip(&test.labels);
    let ranks: Vec<usize> = rows.map(|(row, &label)| crate::rank_of(row, label)).collect();
    let pairs = ranks.iter().zip(&test.labels).map(|(&rank, &label)| (label, rank == 0));
    Ok(ProbeScore {
        lambda,
        trials,
        converged: fit.converged,
        acc1: Accuracy::of(ranks.iter().map(|&rank| rank == 0))?,
        acc5: if classes >= 5 {
            Some(Accuracy::of(ranks.iter().map(|&rank| rank < 5))?)
        } else {
            None
        },
        mean_per_class_recall: mean_per_class(pairs, classes),
        fitted: both.labels.len(),
    })
}

#[cfg(test)]
mod tests;
