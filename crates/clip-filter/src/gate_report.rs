//! What one gate of a selection did: counts, the cut, and the values on both sides of it.

use serde::{Deserialize, Serialize};

/// Bins of a histogram.
const BINS: usize = 100;
/// Pairs that are named on each side of a cut.
const NEAR: usize = 8;

/// What a gate did with the pairs that reached it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    /// The condition, or the fraction: `top 0.3 by width`.
    pub gate: String,
    /// Pairs that reached it.
    pub pairs: u64,
    /// Those that did not pass.
    pub dropped: u64,
    /// Pairs for which a value that the gate needs is null: a condition drops them, a fraction
    /// takes them last.
    pub missing: u64,
    /// The same where the value is NaN.
    pub nan: u64,
    /// Where values were cut: the least score that is kept, of a fraction.
    pub cut: Option<f64>,
    /// Values of the gate's column, where it reads a single one of numbers.
    pub histogram: Option<Histogram>,
    /// Rows of a build whose scores are nearest to the cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near: Option<Near>,
}

impl GateReport {
    pub(crate) fn new(gate: String, cut: Option<f64>, histogram: Option<Histogram>) -> Self {
        let (pairs, dropped, missing, nan, near) = (0, 0, 0, 0, None);
        Self { gate, pairs, dropped, missing, nan, cut, histogram, near }
    }

    /// Counts a pair by the value of the gate's column, and whether it passed.
    pub(crate) fn add(&mut self, value: Option<f64>, passed: bool) {
        self.pairs += 1;
        self.dropped += u64::from(!passed);
        if let (Some(histogram), Some(value)) = (&mut self.histogram, value) {
            histogram.add(value, passed);
        }
    }

    /// The same for a row of a build, which is named where its value is near to the cut.
    pub(crate) fn add_row(&mut self, value: Option<f64>, passed: bool, row: Option<u64>) {
        self.add(value, passed);
        if let (Some(cut), Some(value), Some(row)) = (self.cut, value, row) {
            self.near.get_or_insert_default().add(cut, value, row, passed);
        }
    }
}

/// How values of a column are spread, and which of them passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// The column.
    pub column: String,
    /// The lower end of the first bin.
    pub from: f64,
    /// The upper end of the last one.
    pub to: f64,
    /// Pairs in each bin.
    pub pairs: Vec<u64>,
    /// Those of them that passed.
    pub kept: Vec<u64>,
}

impl Histogram {
    pub(crate) fn new(column: &str, (from, to): (f64, f64)) -> Self {
        Self { column: column.to_owned(), from, to, pairs: vec![0; BINS], kept: vec![0; BINS] }
    }

    /// Counts a value; those beyond the ends, which are infinite, are in the last bins.
    fn add(&mut self, value: f64, passed: bool) {
        if value.is_nan() {
            return;
        }
        let place = (value - self.from) / (self.to - self.from).max(f64::MIN_POSITIVE);
        let bin = (place * BINS as f64).clamp(0.0, (BINS - 1) as f64) as usize;
        self.pairs[bin] += 1;
        self.kept[bin] += u64::from(passed);
    }
}

/// Rows with scores nearest to a cut, the nearest first: of those with the same score the first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Near {
    /// Rows that were kept, each with its score.
    pub kept: Vec<(f64, u64)>,
    /// Rows that were not.
    pub dropped: Vec<(f64, u64)>,
}

impl Near {
    pub(crate) fn add(&mut self, cut: f64, score: f64, row: u64, kept: bool) {
        if !score.is_finite() {
            return;
        }
        let side = if kept { &mut self.kept } else { &mut self.dropped };
        let distance = |score: f64| (score - cut).abs();
        let at = side.partition_point(|(other, _)| distance(*other) <= distance(score));
        if at < NEAR {
            side.insert(at, (score, row));
            side.truncate(NEAR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_all_values_between_the_ends_and_beyond() {
        let mut histogram = Histogram::new("width", (0.0, 10.0));
        for value in [0.0, 5.0, 10.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            histogram.add(value, value > 4.0);
        }
        assert_eq!((histogram.pairs[0], histogram.pairs[50], histogram.pairs[99]), (2, 1, 2));
        assert_eq!(histogram.kept.iter().sum::<u64>(), 3);
        let mut one = Histogram::new("width", (7.0, 7.0));
        one.add(7.0, true);
        assert_eq!(one.pairs[0], 1);
    }

    #[test]
    fn the_nearest_of_each_side_are_named() {
        let mut near = Near::default();
        for row in 0..40u64 {
            near.add(20.0, row as f64, row, row >= 20);
        }
        assert_eq!(near.kept.iter().map(|n| n.1).collect::<Vec<_>>(), (20..28).collect::<Vec<_>>());
        assert_eq!(near.dropped[0], (19.0, 19));
        assert_eq!(near.dropped.len(), NEAR);
    }
}
