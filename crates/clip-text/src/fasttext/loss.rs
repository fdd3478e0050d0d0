//! From the mean of a text's rows to its labels, by the loss that a model was trained with.

use super::arithmetic::{dot, log};
use super::top_k::TopK;
use super::tree::Tree;

/// A table of C++ fastText: the logistic function at 513 places from -8 to 8.
const PLACES: usize = 512;
const REACH: f32 = 8.0;

/// How a model gives labels their probabilities.
pub(super) enum Loss {
    /// Hierarchical softmax.
    Tree(Tree),
    Softmax,
    /// One-vs-all and negative sampling: each label for itself.
    Logistic(Box<[f32]>),
}

impl Loss {
    /// By its number in the file, of labels that occurred so often.
    pub(super) fn read(number: i32, counts: &[i64]) -> Result<Self, String> {
        match number {
            1 if Tree::fits(counts) => Ok(Self::Tree(Tree::new(counts))),
            1 => Err("its counts of labels make no tree".into()),
            2 | 4 => Ok(Self::Logistic(logistic_table())),
            3 => Ok(Self::Softmax),
            other => Err(format!("its loss has the number {other}, which is none of fastText's")),
        }
    }

    /// Rows that the output must have for this many labels.
    pub(super) fn rows(&self, labels: usize) -> usize {
        match self {
            Self::Tree(_) => labels - 1,
            Self::Softmax | Self::Logistic(_) => labels,
        }
    }

    /// Puts the likeliest labels, with a probability of at least `threshold`, into `top`, each with
    /// the logarithm of its probability.
    pub(super) fn best(
        &self,
        output: &[f32],
        labels: usize,
        threshold: f32,
        space: &mut LossWorkspace,
        top: &mut TopK,
    ) {
        let LossWorkspace { hidden, shares, open } = space;
        if let Self::Tree(tree) = self {
            return tree.best(output, hidden, threshold, open, top);
        }
        shares.clear();
        shares.extend((0..labels).map(|label| dot(output, label, hidden)));
        match self {
            Self::Logistic(table) => shares.iter_mut().for_each(|x| *x = logistic(table, *x)),
            _ => softmax(shares),
        }
        for (label, &share) in shares.iter().enumerate() {
            // C++ fastText ends at what is no number; such a label is left out here.
            if share.is_nan() || share < threshold {
                continue;
            }
            let score = log(f64::from(share));
            if !top.refuses(score) {
                top.push(score, label as u32);
            }
        }
    }
}

/// What is used again from one text to the next.
#[derive(Default)]
pub(super) struct LossWorkspace {
    /// The mean of the text's rows.
    pub(super) hidden: Vec<f32>,
    shares: Vec<f32>,
    open: Vec<(u32, f32)>,
}

fn softmax(scores: &mut [f32]) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in &mut *scores {
        *score = (*score - most).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

fn logistic_table() -> Box<[f32]> {
    let place = |place: usize| place as f32 * 2.0 * REACH / PLACES as f32 - REACH;
    (0..=PLACES).map(|at| (1.0 / (1.0 + f64::from((-place(at)).exp()))) as f32).collect()
}

fn logistic(table: &[f32], x: f32) -> f32 {
    if x < -REACH {
        0.0
    } else if x > REACH {
        1.0
    } else {
        table[((x + REACH) * PLACES as f32 / REACH / 2.0) as usize]
    }
}
