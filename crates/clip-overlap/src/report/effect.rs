//! What an overlap does to the scores of a model.

use std::collections::{BTreeMap, HashSet};

use clip_stats::{ClassCounts, Interval, bootstrap, contamination, stratified};
use serde::{Deserialize, Serialize};

use super::predictions::Predicted;
use super::{CONFIDENCE, SetReport};
use crate::{Error, Result};

/// Resamples of a bootstrap, as many as make the ends of a 99.5% interval steady.
const RESAMPLES: usize = 10_000;
const SEED: u64 = 5;

/// A metric that is no accuracy, on All, Clean and Overlap, with a paired bootstrap of All - Clean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Its name.
    pub metric: String,
    /// On all items.
    pub all: f64,
    /// On items that the corpus does not hold.
    pub clean: Option<f64>,
    /// On items that it holds.
    pub overlap: Option<f64>,
    /// All - Clean.
    pub inflation: Option<f64>,
    /// 99.5% percentile interval of All - Clean.
    pub interval: Option<Interval>,
    /// Resamples drawn.
    pub resamples: usize,
    /// The seed they were drawn with.
    pub seed: u64,
}

/// A metric of some rows; not finite where it has none.
type Metric<'a> = dyn Fn(&mut dyn Iterator<Item = usize>) -> f64 + 'a;

impl SetReport {
    /// Adds what the overlap does to a model's scores, `tests` sets being judged at once.
    ///
    /// # Errors
    /// When the predictions lack an item that the corpus holds: they are of another set.
    pub fn judge(&mut self, predicted: &BTreeMap<String, Predicted>, tests: usize) -> Result<()> {
        let keys = self.keys();
        if let Some(stray) = keys.iter().find(|key| !predicted.contains_key(*key)) {
            let reason = format!(
                "the predictions lack item {stray:?}, of which the corpus has a copy: they are of another \
                 set, or of a part of it\nhint: without --limit, `clip-data eval` predicts every item"
            );
            return Err(Error::EvalSet { name: self.name.clone(), reason });
        }
        let rows: Vec<(&Predicted, bool)> =
            predicted.iter().map(|(key, row)| (row, keys.contains(key))).collect();
        let count = |of: &dyn Fn(&(&Predicted, bool)) -> bool| {
            rows.iter().filter(|row| of(row)).count() as u64
        };
        self.effect = Some(contamination(
            rows.len() as u64,
            count(&|row| row.1),
            count(&|row| row.0.correct),
            count(&|row| row.0.correct && row.1),
            tests,
        )?);
        self.differences.clear();
        if rows.iter().all(|(row, _)| row.label.is_some()) {
            let (classes, counts) = by_class(&rows);
            self.stratified = stratified(&counts);
            let metric = |draw: &mut dyn Iterator<Item = usize>| {
                mean_per_class(draw.map(|at| (classes[at], rows[at].0.correct)), counts.len())
            };
            self.differences.push(difference("mean per class", &rows, &metric)?);
        }
        if rows.iter().all(|(row, _)| row.value.is_some()) {
            let metric = |draw: &mut dyn Iterator<Item = usize>| {
                let (sum, n) = draw.fold((0.0, 0u64), |(sum, n), at| {
                    (sum + rows[at].0.value.unwrap_or(f64::NAN), n + 1)
                });
                sum / n as f64
            };
            self.differences.push(difference("mean value", &rows, &metric)?);
        }
        Ok(())
    }
}

/// The class of each row as a number, and the counts of each class.
fn by_class(rows: &[(&Predicted, bool)]) -> (Vec<usize>, Vec<ClassCounts>) {
    let label = |row: &Predicted| row.label.clone().unwrap_or_default();
    let names: HashSet<String> = rows.iter().map(|(row, _)| label(row)).collect();
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort();
    let mut counts = vec![ClassCounts::default(); names.len()];
    let classes = rows.iter().map(|(row, inside)| {
        let at = names.binary_search(&label(row)).unwrap_or(0);
        let right = u64::from(row.correct);
        if *inside {
            counts[at].overlap += 1;
            counts[at].correct_overlap += right;
        } else {
            counts[at].clean += 1;
            counts[at].correct_clean += right;
        }
        at
    });
    (classes.collect(), counts)
}

/// Mean over the classes present of their share correct.
fn mean_per_class(rows: impl Iterator<Item = (usize, bool)>, classes: usize) -> f64 {
    let mut counts = vec![(0u32, 0u32); classes];
    for (class, correct) in rows {
        counts[class].0 += u32::from(correct);
        counts[class].1 += 1;
    }
    let present = counts.iter().filter(|(_, n)| *n > 0);
    let (sum, n) = present
        .fold((0.0, 0u32), |(sum, n), (c, all)| (sum + f64::from(*c) / f64::from(*all), n + 1));
    sum / f64::from(n)
}

fn difference(name: &str, rows: &[(&Predicted, bool)], metric: &Metric) -> Result<Difference> {
    let of = |wanted: bool| {
        let value = metric(&mut (0..rows.len()).filter(|&at| rows[at].1 == wanted));
        value.is_finite().then_some(value)
    };
    let (clean, overlap) = (of(false), of(true));
    let all = metric(&mut (0..rows.len()));
    let drawn = match (clean, overlap) {
        (Some(_), Some(_)) => {
            let statistic = |draw: &[usize]| {
                let clean = metric(&mut draw.iter().copied().filter(|&at| !rows[at].1));
                metric(&mut draw.iter().copied()) - clean
            };
            Some(bootstrap(rows.len(), resamples(rows.len()), SEED, CONFIDENCE, statistic)?)
        }
        _ => None,
    };
    Ok(Difference {
        metric: name.to_owned(),
        all,
        clean,
        overlap,
        inflation: clean.map(|clean| all - clean),
        interval: drawn.as_ref().map(|drawn| drawn.interval),
        resamples: drawn.as_ref().map_or(0, |drawn| drawn.resamples),
        seed: SEED,
    })
}

/// Ten thousand, fewer for sets so large that this would take minutes: their ends are steady with
/// less.
fn resamples(rows: usize) -> usize {
    (1_000_000_000 / rows.max(1)).clamp(2_000, RESAMPLES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hit_kind::HitKind;
    use crate::matches::tests::pair;
    use crate::report::tests::toys;

    fn account(copies: &[&str], items: u64) -> SetReport {
        let matches: Vec<_> =
            copies.iter().map(|key| pair(key, key, 0.99, HitKind::Near)).collect();
        toys(items, &matches)
    }

    #[test]
    fn scores_are_split_into_clean_and_overlap() {
        let mut set = account(&["00", "01"], 10);
        let predicted = (0..10).map(|n| {
            let label = Some(if n % 2 == 0 { "cat" } else { "dog" }.to_owned());
            let row = Predicted { correct: n < 5, label, value: Some(f64::from(n < 5)) };
            (format!("{n:02}"), row)
        });
        set.judge(&predicted.collect(), 1).unwrap();
        let effect = set.effect.clone().unwrap();
        assert_eq!((effect.correct, effect.correct_overlap), (5, 2));
        let value = &set.differences[1];
        // For an accuracy written as values, the bootstrap is about the same difference.
        assert!((value.inflation.unwrap() - effect.inflation.unwrap()).abs() < 1e-12);
        let interval = value.interval.unwrap();
        assert!(interval.low < 0.125 && interval.high > 0.125 && value.resamples == 10_000);
        assert!((set.differences[0].all - 0.5).abs() < 1e-12);
        let even = set.stratified.unwrap();
        assert!((even.clean - 0.375).abs() < 1e-12 && even.overlap == 1.0, "{even:?}");
    }

    #[test]
    fn predictions_of_another_set_are_refused() {
        let mut set = account(&["a"], 10);
        let predicted = [("z".to_owned(), Predicted { correct: true, label: None, value: None })];
        assert!(set.judge(&predicted.into(), 1).unwrap_err().to_string().contains("another set"));
    }
}
