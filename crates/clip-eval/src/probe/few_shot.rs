//! Accuracy against the number of labelled examples a class (paper, figures 6 and 7).

use clip_stats::{Efficiency, data_efficiency};
use serde::Serialize;

use super::{Data, Options, Part, draw, linear_probe, search};
use crate::{Error, Result};

/// The accuracy at a number of examples a class.
#[derive(Debug, Clone, Serialize)]
pub struct ShotScore {
    /// Examples a class; none for all of them.
    pub shots: Option<usize>,
    /// Examples a class on average: what the estimate takes for "all".
    pub per_class: f64,
    /// The mean accuracy over the seeds.
    pub accuracy: f64,
    /// The accuracy with each seed.
    pub seeds: Vec<f64>,
}

/// What a curve is made of.
#[derive(Debug, Clone, Copy)]
pub struct Shots<'a> {
    /// Examples a class.
    pub counts: &'a [usize],
    /// Draws of the examples, averaged.
    pub seeds: u64,
    /// Zero-shot accuracy of the same model on the same items.
    pub zero_shot: Option<f64>,
}

/// A curve.
#[derive(Debug, Clone, Serialize)]
pub struct FewShot {
    /// Zero-shot accuracy of the same model on the same items.
    pub zero_shot: Option<f64>,
    /// The points, fewest examples first.
    pub points: Vec<ShotScore>,
    /// The examples a class that zero-shot is worth.
    pub efficiency: Option<Efficiency>,
}

/// Fits a probe on some examples a class, for each number and seed, and on all of them.
///
/// The strength of each fit is chosen on the validation part. A number larger than the smallest class is left out.
pub fn few_shot(
    train: &Part,
    val: &Part,
    test: &Part,
    classes: usize,
    shots: Shots<'_>,
    options: Options,
    mut progress: impl FnMut(&ShotScore),
) -> Result<FewShot> {
    let mut by_class = vec![Vec::new(); classes];
    train.labels.iter().enumerate().for_each(|(row, &label)| by_class[label].push(row));
    by_class.retain(|rows| !rows.is_empty());
    let smallest =
        by_class.iter().map(Vec::len).min().ok_or_else(|| Error::Probe("no rows".into()))?;
    let mut points = Vec::new();
    for &count in shots.counts.iter().filter(|&&count| count > 0 && count <= smallest) {
        let mut scores = Vec::new();
        for seed in 0..shots.seeds {
            let rows: Vec<usize> =
                by_class.iter().flat_map(|rows| chosen(rows, count, seed)).collect();
            let part = train.rows(&rows);
            let data = Data::new(&part.features, &part.labels, classes)?;
            let (lambda, _) = search(&data, (&val.features, &val.labels), options, |_| {})?;
            let fit = data.fit(lambda, options, None)?;
            let found = fit.predict(&test.features)?;
            let correct = found.iter().zip(&test.labels).filter(|(a, b)| a == b).count();
            scores.push(correct as f64 / test.labels.len() as f64);
        }
        let accuracy = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
        let point =
            ShotScore { shots: Some(count), per_class: count as f64, accuracy, seeds: scores };
        progress(&point);
        points.push(point);
    }
    let full = linear_probe(train, val, test, classes, options, |_| {})?;
    let per_class = full.fitted as f64 / by_class.len() as f64;
    let accuracy = full.acc1.value;
    let point = ShotScore { shots: None, per_class, accuracy, seeds: vec![accuracy] };
    progress(&point);
    points.push(point);
    let curve: Vec<(f64, f64)> = points.iter().map(|p| (p.per_class, p.accuracy)).collect();
    let zero_shot = shots.zero_shot;
    let efficiency = zero_shot.and_then(|accuracy| data_efficiency(&curve, accuracy));
    Ok(FewShot { zero_shot, points, efficiency })
}

/// `count` of the rows, the same for the same seed; more shots with one seed hold the fewer.
fn chosen(rows: &[usize], count: usize, seed: u64) -> Vec<usize> {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|&row| draw(seed, row));
    rows.truncate(count);
    rows
}
