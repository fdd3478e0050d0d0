//! Zero-shot classification, on all items and on those that the corpus did not hold.

use std::collections::HashSet;

use clip_datasets::EvalSet;
use clip_model::Clip;
use clip_stats::clopper_pearson;
use clip_text::Tokenizer;
use clip_torch::tch::Tensor;
use serde::Serialize;

use crate::{Prediction, Result, classifier, image_features, rank_of, top_k};

/// The paper's confidence (section 3.3).
const CONFIDENCE: f64 = 0.995;

/// An accuracy with its 99.5% Clopper-Pearson interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
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
    fn new(correct: u64, n: u64) -> Result<Self> {
        let interval = clopper_pearson(correct, n, CONFIDENCE)?;
        let value = correct as f64 / n as f64;
        Ok(Self { correct, n, value, low: interval.low, high: interval.high })
    }
}

/// Scores over some of the items.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
        let mut by_class = vec![(0u64, 0u64); classes];
        for prediction in kept {
            let (correct, count) = &mut by_class[prediction.label as usize];
            *correct += u64::from(prediction.rank == 0);
            *count += 1;
        }
        let present: Vec<f64> =
            by_class.iter().filter(|c| c.1 > 0).map(|c| c.0 as f64 / c.1 as f64).collect();
        Ok(Some(Self {
            acc1: within(1)?,
            acc5: if classes >= 5 { Some(within(5)?) } else { None },
            mean_per_class_recall: present.iter().sum::<f64>() / present.len() as f64,
        }))
    }
}

/// The result of a zero-shot evaluation.
#[derive(Debug, Clone, Serialize)]
pub struct ZeroShot {
    /// Name of the evaluation set.
    pub dataset: String,
    /// Number of classes.
    pub classes: usize,
    /// Accuracy of guessing.
    pub chance: f64,
    /// Over all items.
    pub all: Scores,
    /// Over items that the corpus does not hold, where that was checked.
    pub clean: Option<Scores>,
    /// Over items that the corpus holds, where that was checked and there are any.
    pub overlap: Option<Scores>,
    /// What was predicted for each item.
    #[serde(skip)]
    pub predictions: Vec<Prediction>,
}

/// Evaluates; `overlap` holds the keys of items that the corpus has too, where that was checked.
pub fn zero_shot(
    model: &Clip,
    tokenizer: &Tokenizer,
    set: &EvalSet,
    overlap: Option<&HashSet<String>>,
    progress: &dyn Fn(usize),
) -> Result<ZeroShot> {
    let weights = classifier(model, tokenizer, set)?;
    let (features, keys, labels) = image_features(model, set, progress)?;
    let scores = features.matmul(&weights);
    let predictions = predictions(&scores, keys, &labels)?;
    let classes = set.classes.len();
    let split = |inside: bool| match overlap {
        Some(overlap) => Scores::of(&predictions, classes, |p| overlap.contains(&p.key) == inside),
        None => Ok(None),
    };
    let all = Scores::of(&predictions, classes, |_| true)?;
    let all = all.ok_or_else(|| crate::Error::Empty(set.name.clone()))?;
    Ok(ZeroShot {
        dataset: set.name.clone(),
        classes,
        chance: 1.0 / classes as f64,
        all,
        clean: split(false)?,
        overlap: split(true)?,
        predictions,
    })
}

fn predictions(scores: &Tensor, keys: Vec<String>, labels: &[usize]) -> Result<Vec<Prediction>> {
    let classes = scores.size()[1] as usize;
    let flat: Vec<f32> = Vec::try_from(scores.contiguous().view([-1]))?;
    let rows = flat.chunks_exact(classes).zip(keys).zip(labels);
    Ok(rows
        .map(|((row, key), &label)| {
            // The first of the highest: the lower index wins a tie.
            let best = (0..classes).fold(0, |best, at| if row[at] > row[best] { at } else { best });
            Prediction {
                key,
                label: label as u32,
                prediction: best as u32,
                rank: rank_of(row, label) as u32,
                score: row[best],
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(key: &str, label: u32, rank: u32) -> Prediction {
        Prediction { key: key.into(), label, prediction: 0, rank, score: 0.0 }
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
    fn a_tie_goes_to_the_lower_class() {
        let scores = Tensor::from_slice(&[0.5f32, 0.5, 0.1, 0.2, 0.2, 0.9]).view([2, 3]);
        let found = predictions(&scores, vec!["a".into(), "b".into()], &[1, 2]).unwrap();
        assert_eq!((found[0].prediction, found[0].rank), (0, 1));
        assert_eq!((found[1].prediction, found[1].rank), (2, 0));
    }
}
