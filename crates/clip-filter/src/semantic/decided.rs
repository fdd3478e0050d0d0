//! What a selection by embeddings decided about each row, and what its gates report.

use super::options::Semantic;
use crate::{GateReport, Histogram};

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is no row of the pool: it was not fetched, or has no id.
    Absent,
    /// No target is in its cluster.
    Far,
    /// Its image is one before it again.
    Repeated,
    /// It is kept.
    Kept,
}

/// What images before a row in its cluster are to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Before {
    /// The largest cosine with one of them; minus infinity where there is none.
    pub(super) cosine: f32,
    /// Whether it is above the bound.
    pub(super) repeated: bool,
}

impl Before {
    pub(super) const NONE: Self = Self { cosine: f32::NEG_INFINITY, repeated: false };
}

/// The decisions about all rows of a pool, in their order.
#[derive(Default)]
pub(super) struct Decided {
    pub(super) ids: Vec<u128>,
    /// The cluster of each.
    pub(super) labels: Vec<u32>,
    pub(super) outcomes: Vec<Outcome>,
    /// 1 minus the cosine with its centroid.
    pub(super) distances: Vec<f64>,
    /// By how much a cluster without targets is farther than one with some, in squared distances;
    /// empty where there are no targets.
    pub(super) margins: Vec<f32>,
    /// Empty without SemDeDup.
    pub(super) before: Vec<Before>,
}

impl Decided {
    /// How many rows had that outcome.
    pub(super) fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes.iter().filter(|other| **other == outcome).count() as u64
    }

    fn margin(&self, row: usize) -> Option<f64> {
        self.margins.get(row).map(|&margin| f64::from(margin)).filter(|margin| margin.is_finite())
    }

    fn cosine(&self, row: usize) -> Option<f64> {
        let before = self.before.get(row)?;
        Some(f64::from(before.cosine)).filter(|cosine| cosine.is_finite())
    }

    /// The least and the largest of some values of the rows that there are.
    fn range(&self, value: impl Fn(usize) -> Option<f64>) -> (f64, f64) {
        let rows = (0..self.ids.len()).filter(|&row| self.outcomes[row] != Outcome::Absent);
        let ends = rows.filter_map(value).fold(None, |ends: Option<(f64, f64)>, value| {
            let (low, high) = ends.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        ends.unwrap_or((0.0, 1.0))
    }
}

/// The gates of a selection, as rows come.
pub(super) struct SemanticGates {
    targets: Option<GateReport>,
    repeats: Option<GateReport>,
}

impl SemanticGates {
    /// Those that were asked for.
    pub(super) fn new(semantic: &Semantic, decided: &Decided) -> Self {
        let gate = |name: String, cut, column: &str, range| {
            GateReport::new(name, Some(cut), Some(Histogram::new(column, range)))
        };
        let targets = (!decided.margins.is_empty()).then(|| {
            let range = decided.range(|row| decided.margin(row));
            gate("near the targets".into(), 0.0, "margin of squared distances", range)
        });
        let repeats = semantic.epsilon.map(|epsilon| {
            let range = decided.range(|row| decided.cosine(row));
            gate(format!("semdedup {epsilon}"), 1.0 - epsilon, "cosine with one before", range)
        });
        Self { targets, repeats }
    }

    /// Counts a row; `number` names it in a build.
    pub(super) fn add(&mut self, decided: &Decided, row: usize, number: Option<u64>) {
        let outcome = decided.outcomes[row];
        if outcome == Outcome::Absent {
            return;
        }
        if let Some(gate) = &mut self.targets {
            gate.add_row(decided.margin(row), outcome != Outcome::Far, number);
        }
        if let (Some(gate), true) = (&mut self.repeats, outcome != Outcome::Far) {
            gate.add_row(decided.cosine(row), outcome != Outcome::Repeated, number);
        }
    }

    /// The reports, in the order of the gates.
    pub(super) fn reports(self) -> Vec<GateReport> {
        self.targets.into_iter().chain(self.repeats).collect()
    }
}
