//! The paper's search for the strength of regularisation (appendix A.3).

use serde::Serialize;

use super::objective::Options;
use super::part::Parts;
use super::problem::{Fitted, Problem};
use super::score::TestScores;
use crate::Result;

/// Strengths of the grid: 96 logarithmic steps from 1e-6 to 1e6, eight a decade.
pub const GRID: usize = 97;
/// Places of the seven strengths that the search starts with.
const FIRST: usize = 16;

/// One strength that was tried.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Trial {
    /// The strength.
    pub lambda: f64,
    /// The metric on the validation part.
    pub value: f64,
    /// The objective on the part that was fitted.
    pub objective: f64,
    /// Iterations.
    pub iterations: usize,
    /// Whether it converged.
    pub converged: bool,
}

/// The strength at a place of the grid.
pub fn lambda(place: usize) -> f64 {
    10f64.powf(-6.0 + place as f64 / 8.0)
}

/// Tries 1e-6, 1e-4, …, 1e6, then halves the interval around the best down to one step of the grid.
/// Best is what has the highest metric on the validation part, of equal ones the lowest strength.
/// Returns the best and all that were tried, in order.
pub(super) fn search(
    train: &Problem,
    parts: &Parts,
    options: Options,
    mut progress: impl FnMut(&Trial),
) -> Result<(f64, Vec<Trial>)> {
    let val = &parts.val;
    let mut tried: Vec<Option<(Trial, Fitted)>> = (0..GRID).map(|_| None).collect();
    let mut order = Vec::new();
    let mut score = |place: usize| -> Result<f64> {
        if tried[place].is_none() {
            // The fit of the nearest strength is a good start.
            let near =
                (0..GRID).filter(|&at| tried[at].is_some()).min_by_key(|&at| at.abs_diff(place));
            let start = near.and_then(|at| tried[at].as_ref()).map(|(_, fit)| fit);
            let fit = train.fit(lambda(place), options, start)?;
            let scores = TestScores::of(&fit.scores(&val.features), &val.target, parts.classes)?;
            let trial = Trial {
                lambda: lambda(place),
                value: scores.wanted(parts.metric)?,
                objective: fit.objective(),
                iterations: fit.iterations(),
                converged: fit.converged(),
            };
            progress(&trial);
            order.push(trial);
            tried[place] = Some((trial, fit));
        }
        Ok(tried[place].as_ref().map_or(0.0, |(trial, _)| trial.value))
    };
    // Strong to weak: the strongest converge at once, and each is the start of the next.
    let mut best = (0, 0.0);
    for place in (0..GRID).step_by(FIRST).rev() {
        let found = score(place)?;
        if found >= best.1 {
            best = (place, found);
        }
    }
    let mut step = FIRST / 2;
    while step >= 1 {
        let middle = best.0;
        let (low, high) = (middle.saturating_sub(step), (middle + step).min(GRID - 1));
        best = (low, score(low)?);
        for place in [middle, high] {
            let found = score(place)?;
            if found > best.1 {
                best = (place, found);
            }
        }
        step /= 2;
    }
    Ok((lambda(best.0), order))
}
