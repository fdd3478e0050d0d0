//! The linear probe (paper, appendix A.3) and few-shot curves made of it (section 3.1.5).

mod disjoint;
mod draw;
mod few_shot;
mod folds;
mod lbfgs;
mod line;
mod objective;
mod part;
mod problem;
mod score;
mod search;

use clip_torch::tch::Tensor;
use serde::Serialize;

pub use disjoint::{Dropped, check_disjoint, shared_items};
pub use few_shot::{FewShot, LeftOut, ShotScore, Shots, few_shot};
pub use folds::{Summary, summary};
pub use objective::{Data, Fit, Options};
pub use part::{Part, Parts, ProbeItem, Target};
pub use score::{TestScores, metric_for};
pub use search::{GRID, Trial, lambda};

#[cfg(test)]
use draw::draw;
use problem::Problem;
use search::search;

use crate::{Error, Result};

/// What a probe scored.
#[derive(Debug, Serialize)]
pub struct ProbeScore {
    /// The strength that was chosen.
    pub lambda: f64,
    /// All that were tried; none where the strength was given.
    pub trials: Vec<Trial>,
    /// The objective of the last fit.
    pub objective: f64,
    /// Iterations of the last fit.
    pub iterations: usize,
    /// Whether the last fit converged.
    pub converged: bool,
    /// Items fitted on at last: train and validation.
    pub fitted: usize,
    /// Classes without a positive or without a negative item, which score 0 everywhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unfitted_classes: Vec<usize>,
    /// On the test part.
    #[serde(flatten)]
    pub scores: TestScores,
    /// Scores of the test part, [n, classes] in f64.
    #[serde(skip)]
    pub logits: Tensor,
}

/// Chooses the strength on the validation part by the metric of the parts, fits on train and
/// validation, scores the test part once. With `given` there is no search.
///
/// # Errors
/// Parts that share items, or that cannot be fitted or scored.
pub fn linear_probe(
    parts: &Parts,
    given: Option<f64>,
    options: Options,
    progress: impl FnMut(&Trial),
) -> Result<ProbeScore> {
    parts.check_disjoint()?;
    let Parts { train, val, test, classes, .. } = parts;
    if test.is_empty() || (val.is_empty() && given.is_none()) {
        return Err(Error::Probe("no rows to validate or to test on".into()));
    }
    let (lambda, trials) = match given {
        Some(lambda) => (lambda, Vec::new()),
        None => search(&Problem::new(train, *classes)?, parts, options, progress)?,
    };
    let both = train.with(val);
    let fit = Problem::new(&both, *classes)?.fit_from_stronger(lambda, options)?;
    let logits = fit.scores(&test.features);
    Ok(ProbeScore {
        lambda,
        trials,
        objective: fit.objective(),
        iterations: fit.iterations(),
        converged: fit.converged(),
        fitted: both.len(),
        unfitted_classes: fit.unfitted(),
        scores: TestScores::of(&logits, &test.target, *classes)?,
        logits,
    })
}

#[cfg(test)]
mod tests;
