//! What a filter did: the pairs that each gate dropped, and the scores on both sides of the cut.

use serde::Serialize;

use crate::{Clustering, GateReport};

/// Bins of the histogram: hundredths from -1 to 1.
pub(crate) const BINS: usize = 200;

/// Pairs that a gate dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// The gate.
    pub gate: String,
    /// Pairs that passed the gates before it, and not this one.
    pub pairs: u64,
}

/// Pairs with a score in a range.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreBin {
    /// The lower end; the upper one is a hundredth above.
    pub from: f64,
    /// Pairs of the pool.
    pub pairs: u64,
    /// Those that were kept.
    pub kept: u64,
}

/// What a filter did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FilterReport {
    /// The preset's name, or `select`.
    pub filter: String,
    /// Tables.
    pub files: usize,
    /// Pairs of the pool.
    pub pairs: u64,
    /// Pairs that were kept.
    pub kept: u64,
    /// What each gate dropped, in order.
    pub dropped: Vec<Dropped>,
    /// The score that a pair must have, where a fraction was given or a preset has one.
    pub threshold: Option<f64>,
    /// The scores, where a preset has a cut; bins without pairs are left out.
    pub scores: Vec<ScoreBin>,
    /// What conditions and fractions did, where these were given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateReport>,
    /// The clusters, where images were selected by them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clustering: Option<Clustering>,
}

/// Counts while a filter runs.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    pub(crate) pairs: u64,
    pub(crate) kept: u64,
    pub(crate) dropped: Vec<u64>,
    pub(crate) scores: Vec<(u64, u64)>,
}

impl Counts {
    pub(crate) fn new(gates: usize, scored: bool) -> Self {
        let bins = if scored { BINS } else { 0 };
        Self { pairs: 0, kept: 0, dropped: vec![0; gates], scores: vec![(0, 0); bins] }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.pairs += other.pairs;
        self.kept += other.kept;
        self.dropped.iter_mut().zip(&other.dropped).for_each(|(sum, count)| *sum += count);
        for (sum, count) in self.scores.iter_mut().zip(&other.scores) {
            sum.0 += count.0;
            sum.1 += count.1;
        }
    }

    /// Counts a score; those beyond the ends are in the last bins.
    pub(crate) fn score(&mut self, score: f64, kept: bool) {
        let bin = ((score + 1.0) * 100.0).clamp(0.0, (BINS - 1) as f64) as usize;
        if let Some((pairs, keeps)) = self.scores.get_mut(bin).filter(|_| !score.is_nan()) {
            *pairs += 1;
            *keeps += u64::from(kept);
        }
    }

    pub(crate) fn bins(&self) -> Vec<ScoreBin> {
        let bins = self.scores.iter().enumerate().filter(|(_, (pairs, _))| *pairs > 0);
        let from = |bin: usize| (bin as f64 - 100.0) / 100.0;
        bins.map(|(bin, &(pairs, kept))| ScoreBin { from: from(bin), pairs, kept }).collect()
    }
}
