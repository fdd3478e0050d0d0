//! Accuracies: with intervals, by class, by group.

use std::collections::BTreeMap;

use clip_stats::clopper_pearson;
use serde::{Deserialize, Serialize};

use super::top_k;
use crate::{Prediction, Result};

/// The paper's confidence (section 3.3).
const CONFIDENCE: f64 = 0.995;

/// An accuracy with its 99.5% Clopper-Pearson interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Correct items.
    pub correct: u64,
    /// Items.
    pub n: u64,
    /// Their share.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Accuracy {
    /// The accuracy of `correct` of `n` items, at least one.
    pub fn new(correct: u64, n: u64) -> Result<Self> {
        let interval = clopper_pearson(correct, n, CONFIDENCE)?;
        let value = correct as f64 / n as f64;
        Ok(Self { correct, n, value, low: interval.low, high: interval.high })
    }

    /// The share of cases that hold.
    pub fn of(cases: impl IntoIterator<Item = bool>) -> Result<Self> {
        let (correct, n) =
            cases.into_iter().fold((0, 0), |(c, n), hit| (c + u64::from(hit), n + 1));
        Self::new(correct, n)
    }
}

/// Scores over some of the items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Share whose class scored highest.
    pub acc1: Accuracy,
    /// Share whose class is among the five highest; none with fewer than five classes.
    pub acc5: Option<Accuracy>,
    /// Mean over the classes present of their share correct.
    pub mean_per_class_recall: f64,
}

impl Scores {
    /// Scores over the predictions that `keep` names; none where it names none.
    pub fn of(
        predictions: &[Prediction],
        classes: usize,
        keep: impl Fn(&Prediction) -> bool,
    ) -> Result<Option<Self>> {
        let kept: Vec<&Prediction> = predictions.iter().filter(|p| keep(p)).collect();
        if kept.is_empty() {
            return Ok(None);
        }
        let ranks: Vec<usize> = kept.iter().map(|p| p.rank as usize).collect();
        let n = ranks.len() as u64;
        let within = |k: usize| Accuracy::new((top_k(&ranks, k) * n as f64).round() as u64, n);
        let pairs = kept.iter().map(|p| (p.label as usize, p.rank == 0));
        Ok(Some(Self {
            acc1: within(1)?,
            acc5: if classes >= 5 { Some(within(5)?) } else { None },
            mean_per_class_recall: mean_per_class(pairs, classes),
        }))
    }
}

/// Mean over the classes present of their share correct, from (class, correct).
pub fn mean_per_class(items: impl IntoIterator<Item = (usize, bool)>, classes: usize) -> f64 {
    let mut by_class = vec![(0u64, 0u64); classes];
    for (class, correct) in items {
        by_class[class].0 += u64::from(correct);
        by_class[class].1 += 1;
    }
    let present: Vec<f64> =
        by_class.iter().filter(|c| c.1 > 0).map(|c| c.0 as f64 / c.1 as f64).collect();
    present.iter().sum::<f64>() / present.len().max(1) as f64
}

/// Mean of the F1 scores of the classes that some item has, from (true class, predicted class):
/// WILDS's `F1-macro`, which is scikit-learn's with `labels = unique(y_true)`. A class that is
/// predicted alone is not one of them.
pub fn macro_f1(items: &[(usize, usize)], classes: usize) -> f64 {
    let mut counts = vec![(0u64, 0u64, 0u64); classes];
    for &(truth, predicted) in items {
        counts[truth].1 += 1;
        counts[predicted].2 += 1;
        counts[truth].0 += u64::from(truth == predicted);
    }
    let present: Vec<f64> = counts
        .iter()
        .filter(|(_, truths, _)| *truths > 0)
        .map(|(hits, truths, predictions)| 2.0 * *hits as f64 / (truths + predictions) as f64)
        .collect();
    present.iter().sum::<f64>() / present.len().max(1) as f64
}

/// The accuracy of each group that has items, from (group, correct).
pub fn by_group<'a>(
    items: impl IntoIterator<Item = (&'a str, bool)>,
) -> Result<BTreeMap<String, Accuracy>> {
    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (group, correct) in items {
        let (hits, n) = counts.entry(group).or_default();
        *hits += u64::from(correct);
        *n += 1;
    }
    let accuracies = counts
        .into_iter()
        .map(|(group, (hits, n))| Ok((group.to_owned(), Accuracy::new(hits, n)?)));
    accuracies.collect()
}

/// The lowest accuracy of the groups that `keep` names; none where it names none.
pub fn worst_group(
    groups: &BTreeMap<String, Accuracy>,
    keep: impl Fn(&str) -> bool,
) -> Option<f64> {
    let kept = groups.iter().filter(|(name, _)| keep(name));
    kept.map(|(_, accuracy)| accuracy.value).min_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{best, rank_of};

    fn prediction(key: &str, label: u32, rank: u32) -> Prediction {
        Prediction { key: key.into(), label, prediction: 0, rank, score: 0.0, group: None }
    }

    #[test]
    fn scores_are_over_the_items_asked_for() {
        let predictions = [
            prediction("a", 0, 0),
            prediction("b", 0, 3),
            prediction("c", 1, 0),
            prediction("d", 2, 7),
        ];
        let all = Scores::of(&predictions, 6, |_| true).unwrap().unwrap();
        assert_eq!((all.acc1.correct, all.acc5.unwrap().correct), (2, 3));
        assert_eq!(all.mean_per_class_recall, 0.5);
        let some = Scores::of(&predictions, 6, |p| p.key.as_str() > "b").unwrap().unwrap();
        assert_eq!((some.acc1.correct, some.acc1.n), (1, 2));
        assert!(Scores::of(&predictions, 4, |_| true).unwrap().unwrap().acc5.is_none());
        assert_eq!(Scores::of(&predictions, 6, |_| false).unwrap(), None);
    }

    #[test]
    fn the_vectors_of_clip_benchmark() {
        // Seven items of six classes; scikit-learn's balanced_accuracy_score gives the mean per
        // class.
        let logits: [[f32; 6]; 7] = [
            [0.9, 0.1, 0.0, 0.2, 0.3, 0.05],
            [0.2, 0.8, 0.1, 0.0, 0.3, 0.4],
            [0.1, 0.7, 0.6, 0.2, 0.0, 0.3],
            [0.5, 0.4, 0.3, 0.2, 0.1, 0.0],
            [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
            [0.3, 0.3, 0.2, 0.1, 0.9, 0.0],
            [0.1, 0.2, 0.3, 0.9, 0.8, 0.7],
        ];
        let truths = [0, 1, 2, 3, 5, 4, 4];
        let rows = || logits.iter().zip(truths);
        let predictions: Vec<Prediction> = rows()
            .map(|(row, truth)| {
                let rank = rank_of(row, truth) as u32;
                Prediction { prediction: best(row) as u32, ..prediction("", truth as u32, rank) }
            })
            .collect();
        let scores = Scores::of(&predictions, 6, |_| true).unwrap().unwrap();
        assert!((scores.acc1.value - 0.571429).abs() < 1e-6);
        assert_eq!(scores.acc5.unwrap().value, 1.0);
        assert!((scores.mean_per_class_recall - 0.583333).abs() < 1e-6);
    }

    #[test]
    fn f1_and_groups() {
        // scikit-learn: f1_score([0, 0, 1, 2], [0, 1, 1, 1], average="macro") = 0.388889
        let f1 = macro_f1(&[(0, 0), (0, 1), (1, 1), (2, 1)], 4);
        assert!((f1 - 0.388889).abs() < 1e-6, "{f1}");
        // The class 3 is predicted and never true: its F1 of 0 is not in the mean.
        let f1 = macro_f1(&[(0, 0), (0, 3), (1, 1)], 4);
        assert!((f1 - 5.0 / 6.0).abs() < 1e-12, "{f1}");
        let groups =
            by_group([("eu", true), ("eu", false), ("us", true), ("Other", false)]).unwrap();
        assert_eq!((groups.len(), groups["eu"].value), (3, 0.5));
        assert_eq!(worst_group(&groups, |_| true), Some(0.0));
        assert_eq!(worst_group(&groups, |name| name != "Other"), Some(0.5));
        assert_eq!(worst_group(&groups, |_| false), None);
    }
}
