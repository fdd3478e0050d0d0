//! What the copies did to a score: the same training with and without them.

use std::collections::{BTreeMap, HashMap};

use clip_stats::Mean;
use serde::{Deserialize, Serialize};

use super::SetReport;
use crate::training::Evaluation;
use crate::{Error, Result};

/// Confidence of the intervals over seeds.
const CONFIDENCE: f64 = 0.95;

/// The evaluations of the runs of one arm: a list for each seed.
pub type ArmRuns = Vec<Vec<Evaluation>>;

/// The runs of all arms; runs at the same place have the same seed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RetrainRuns {
    /// Trained on the copies.
    pub keep: ArmRuns,
    /// Trained on other pairs in the places of the copies.
    pub replace: ArmRuns,
    /// Trained on the copies, and on those other pairs in places that are no copies'.
    pub placebo: ArmRuns,
}

/// A mean over seeds, of accuracies or of their differences.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// On all items.
    pub all: Mean,
    /// On the items without a copy; none where all have one.
    pub clean: Option<Mean>,
    /// On the items with a copy.
    pub overlap: Mean,
}

/// Items by how often their copies had been seen when they were scored.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Dose {
    /// Least number of times.
    pub from: u64,
    /// Greatest number of times.
    pub to: u64,
    /// Scored items: the same one counts in each evaluation and seed.
    pub scored: u64,
    /// Accuracy where the copies were seen.
    pub keep: f64,
    /// Accuracy on the same items, at the same step and seed, where other pairs were seen.
    pub replace: f64,
}

/// What training without the copies changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retrained {
    /// Seeds, each with one run of every arm.
    pub seeds: u64,
    /// Accuracy with the copies.
    pub keep: Split,
    /// Accuracy with other pairs in their places.
    pub replace: Split,
    /// The first less the second, seed by seed. On all items that is the inflation.
    pub effect: Split,
    /// The first less that with as many other places changed: what any such change does.
    pub noise: Split,
    /// All - Clean of the runs with the copies, which the paper estimates the inflation by.
    pub observed: Option<Mean>,
    /// By the number of times that copies were seen.
    pub dose: Vec<Dose>,
}

impl SetReport {
    /// Adds what the runs show; `runs` may be of other sets too.
    ///
    /// # Errors
    /// When a run has no evaluation of this set, or one of other items.
    pub fn retrain(&mut self, runs: &RetrainRuns) -> Result<()> {
        let arms = [&runs.keep, &runs.replace, &runs.placebo];
        let own = |arm: &ArmRuns| -> ArmRuns {
            let own = |run: &Vec<Evaluation>| {
                run.iter().filter(|found| found.set == self.name).cloned().collect()
            };
            arm.iter().map(own).collect()
        };
        let [keep, replace, placebo] = arms.map(own);
        let last = |arm: &ArmRuns| -> Result<Vec<Evaluation>> {
            let last = |run: &Vec<Evaluation>| {
                let reason =
                    "a run without the copies, or with them, has no evaluation of it".to_owned();
                let found = run.last().filter(|found| found.overlap.len() as u64 == self.overlap);
                found.cloned().ok_or_else(|| Error::EvalSet { name: self.name.clone(), reason })
            };
            arm.iter().map(last).collect()
        };
        let (kept, replaced, noise) = (last(&keep)?, last(&replace)?, last(&placebo)?);
        let observed: Option<Vec<f64>> =
            kept.iter().map(|run| Some(run.all() - run.clean()?)).collect();
        self.retrained = Some(Retrained {
            seeds: kept.len() as u64,
            keep: split(&kept, None)?,
            replace: split(&replaced, None)?,
            effect: split(&kept, Some(&replaced))?,
            noise: split(&kept, Some(&noise))?,
            observed: observed.map(|values| Mean::of(&values, CONFIDENCE)).transpose()?,
            dose: dose(&keep, &replace),
        });
        Ok(())
    }
}

/// The means of accuracies, or of their differences from `less`.
fn split(runs: &[Evaluation], less: Option<&[Evaluation]>) -> Result<Split> {
    let mean = |get: &dyn Fn(&Evaluation) -> Option<f64>| -> Result<Option<Mean>> {
        let value = |(at, run): (usize, &Evaluation)| {
            let base = less.map_or(Some(0.0), |less| get(&less[at]));
            Some(get(run)? - base?)
        };
        let values: Option<Vec<f64>> = runs.iter().enumerate().map(value).collect();
        Ok(values.map(|values| Mean::of(&values, CONFIDENCE)).transpose()?)
    };
    let none = || clip_stats::Error::Empty;
    Ok(Split {
        all: mean(&|run| Some(run.all()))?.ok_or_else(none)?,
        clean: mean(&Evaluation::clean)?,
        overlap: mean(&Evaluation::overlapping)?.ok_or_else(none)?,
    })
}

/// The greatest number of a bucket: 0, 1, 2, 4, 8 and so on.
fn bucket(seen: u64) -> u64 {
    if seen < 2 { seen } else { seen.next_power_of_two() }
}

/// Accuracy by the number of times that copies were seen, over all evaluations and seeds.
fn dose(keep: &ArmRuns, replace: &ArmRuns) -> Vec<Dose> {
    let mut buckets: BTreeMap<u64, [u64; 3]> = BTreeMap::new();
    for (keep, replace) in keep.iter().zip(replace) {
        let without: HashMap<(u64, &str), bool> = replace
            .iter()
            .flat_map(|run| {
                run.overlap.iter().map(|item| ((run.step, item.key.as_str()), item.correct))
            })
            .collect();
        for run in keep {
            for item in &run.overlap {
                let paired = without.get(&(run.step, item.key.as_str()));
                let (Some(seen), Some(&other)) = (item.seen, paired) else { continue };
                let counts = buckets.entry(bucket(seen)).or_default();
                counts[0] += 1;
                counts[1] += u64::from(item.correct);
                counts[2] += u64::from(other);
            }
        }
    }
    let row = |(to, [scored, keep, replace]): (u64, [u64; 3])| Dose {
        from: if to > 2 { to / 2 + 1 } else { to },
        to,
        scored,
        keep: keep as f64 / scored as f64,
        replace: replace as f64 / scored as f64,
    };
    buckets.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hit_kind::HitKind;
    use crate::matches::tests::pair;
    use crate::report::tests::toys;
    use crate::training::tests::evaluation;

    fn account() -> SetReport {
        let matches = ["0", "1"].map(|key| pair(key, key, 0.99, HitKind::Near));
        toys(10, &matches)
    }

    /// Two epochs of two seeds: the copies of item 0 are remembered from the second epoch on.
    fn runs() -> RetrainRuns {
        let arm = |last: [(u64, &[(u64, bool)]); 2]| -> ArmRuns {
            let run = |(correct, overlap): (u64, &[(u64, bool)])| {
                vec![evaluation(1, 3, &[(1, false), (2, false)]), evaluation(2, correct, overlap)]
            };
            last.map(run).to_vec()
        };
        RetrainRuns {
            keep: arm([(6, &[(2, true), (5, true)]), (7, &[(2, true), (4, true)])]),
            replace: arm([(4, &[(0, false), (0, true)]), (6, &[(0, false), (0, true)])]),
            placebo: arm([(6, &[(2, true), (5, true)]), (6, &[(2, true), (4, false)])]),
        }
    }

    #[test]
    fn the_effect_is_paired_by_seed() {
        let mut set = account();
        set.retrain(&runs()).unwrap();
        let found = set.retrained.unwrap();
        let near = |mean: Mean, value: f64| (mean.mean - value).abs() < 1e-12;
        assert!(near(found.keep.all, 0.65) && near(found.replace.all, 0.5), "{found:?}");
        assert!(near(found.effect.all, 0.15) && near(found.effect.overlap, 0.5), "{found:?}");
        assert!(near(found.noise.all, 0.05) && near(found.noise.overlap, 0.25), "{found:?}");
        // All - Clean of the two runs with the copies.
        assert!(near(found.observed.unwrap(), 0.0875), "{found:?}");
        let rows: Vec<_> = found.dose.iter().map(|row| (row.from, row.to, row.scored)).collect();
        assert_eq!(rows, [(1, 1, 2), (2, 2, 4), (3, 4, 1), (5, 8, 1)]);
        assert_eq!((found.dose[1].keep, found.dose[1].replace), (0.5, 0.0));
        assert_eq!((found.dose[3].keep, found.dose[3].replace), (1.0, 1.0));
    }

    #[test]
    fn runs_of_another_set_are_refused() {
        let mut set = SetReport { name: "cars".into(), ..account() };
        assert!(set.retrain(&runs()).unwrap_err().to_string().contains("no evaluation of it"));
    }
}
