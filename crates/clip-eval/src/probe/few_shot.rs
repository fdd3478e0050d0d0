//! Accuracy against the number of labelled examples a class (paper, figures 6 and 7).

use clip_stats::{Efficiency, data_efficiency};
use serde::Serialize;

use super::draw::draw;
use super::{Options, Part, Parts, Problem, Target, TestScores, linear_probe, search};
use crate::{Error, Result};

/// The score at a number of examples a class.
#[derive(Debug, Clone, Serialize)]
pub struct ShotScore {
    /// Examples a class; none for all of them.
    pub shots: Option<usize>,
    /// Examples a class on average: what the estimate takes for "all".
    pub per_class: f64,
    /// The mean of the metric over the seeds.
    pub value: f64,
    /// The metric with each seed.
    pub seeds: Vec<f64>,
}

/// A number of examples that no score is given for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Examples a class.
    pub shots: usize,
    /// A class that has fewer.
    pub class: usize,
    /// How many it has.
    pub has: usize,
}

/// What a curve is made of.
#[derive(Debug, Clone, Copy)]
pub struct Shots<'a> {
    /// Examples a class.
    pub counts: &'a [usize],
    /// Draws of the examples, averaged.
    pub seeds: u64,
    /// The zero-shot score of the same model on the same items, by the same metric.
    pub zero_shot: Option<f64>,
}

/// A curve.
#[derive(Debug, Clone, Serialize)]
pub struct FewShot {
    /// The metric of all scores.
    pub metric: &'static str,
    /// The zero-shot score of the same model on the same items.
    pub zero_shot: Option<f64>,
    /// The points, fewest examples first.
    pub points: Vec<ShotScore>,
    /// Numbers that are larger than the smallest class.
    pub left_out: Vec<LeftOut>,
    /// The examples a class that zero-shot is worth.
    pub efficiency: Option<Efficiency>,
}

/// Fits a probe on some examples a class, for each number and seed, and on all of them.
///
/// The strength of each fit is chosen on the validation part. A number larger than the smallest
/// class is left out.
///
/// # Errors
/// Parts that share items, items with several classes, or parts that cannot be fitted or scored.
pub fn few_shot(
    parts: &Parts,
    shots: Shots<'_>,
    options: Options,
    mut progress: impl FnMut(&ShotScore),
) -> Result<FewShot> {
    parts.check_disjoint()?;
    let Parts { train, classes, metric, .. } = parts;
    let Target::Classes(labels) = &train.target else {
        return Err(Error::Probe("few-shot examples are drawn by class: one class an item".into()));
    };
    let mut by_class = vec![Vec::new(); *classes];
    labels.iter().enumerate().for_each(|(row, &label)| by_class[label].push(row));
    let present = || (0..*classes).filter(|&class| !by_class[class].is_empty());
    let class = present().min_by_key(|&class| by_class[class].len());
    let class = class.ok_or_else(|| Error::Probe("no rows".into()))?;
    let has = by_class[class].len();
    let (counts, beyond): (Vec<usize>, Vec<usize>) =
        shots.counts.iter().partition(|&&count| count <= has);
    let left_out = beyond.into_iter().map(|shots| LeftOut { shots, class, has }).collect();
    let mut points = Vec::new();
    for count in counts {
        let mut scores = Vec::new();
        for seed in 0..shots.seeds {
            let rows = present().flat_map(|class| chosen(&by_class[class], count, seed));
            let part = train.rows(&rows.collect::<Vec<_>>());
            scores.push(score(&part, parts, options)?);
        }
        let value = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
        let point = ShotScore { shots: Some(count), per_class: count as f64, value, seeds: scores };
        progress(&point);
        points.push(point);
    }
    let full = linear_probe(parts, None, options, |_| {})?;
    let per_class = full.fitted as f64 / present().count() as f64;
    let value = full.scores.wanted(*metric)?;
    let point = ShotScore { shots: None, per_class, value, seeds: vec![value] };
    progress(&point);
    points.push(point);
    let curve: Vec<(f64, f64)> = points.iter().map(|p| (p.per_class, p.value)).collect();
    let zero_shot = shots.zero_shot;
    let efficiency = zero_shot.and_then(|value| data_efficiency(&curve, value));
    Ok(FewShot { metric: metric.name(), zero_shot, points, left_out, efficiency })
}

/// The score of a probe that is fitted on these examples alone.
fn score(examples: &Part, parts: &Parts, options: Options) -> Result<f64> {
    let problem = Problem::new(examples, parts.classes)?;
    let (lambda, _) = search(&problem, parts, options, |_| {})?;
    let fit = problem.fit_from_stronger(lambda, options)?;
    let test = &parts.test;
    TestScores::of(&fit.scores(&test.features), &test.target, parts.classes)?.wanted(parts.metric)
}

/// `count` of the rows, the same for the same seed; more shots with one seed hold the fewer.
fn chosen(rows: &[usize], count: usize, seed: u64) -> Vec<usize> {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|&row| draw(seed, row));
    rows.truncate(count);
    rows
}
