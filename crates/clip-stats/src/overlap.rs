//! What overlap does to an accuracy (paper, section 5).

use crate::smallest_significant;
use crate::{Error, Interval, Result, binomial_tail, bonferroni, clopper_pearson};

/// Accuracies on All, Clean and Overlap, and how sure their difference is.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Contamination {
    /// Rows, and how many of them overlap.
    pub all: u64,
    /// Rows that overlap.
    pub overlap: u64,
    /// Correct rows.
    pub correct: u64,
    /// Correct rows among those that overlap.
    pub correct_overlap: u64,
    /// Share of the rows that overlap.
    pub rate: f64,
    /// Accuracy on all rows.
    pub accuracy_all: f64,
    /// Accuracy on the rows that do not overlap; none where all do.
    pub accuracy_clean: Option<f64>,
    /// Accuracy on the rows that overlap; none where none does.
    pub accuracy_overlap: Option<f64>,
    /// All - Clean, in [-1, 1].
    pub inflation: Option<f64>,
    /// One-sided binomial p: chance of this many correct among Overlap at Clean's accuracy.
    pub p: Option<f64>,
    /// The p times the number of tests, at most 1.
    pub p_corrected: Option<f64>,
    /// The number of tests it was corrected for.
    pub tests: usize,
    /// 99.5% Clopper-Pearson interval of Overlap's accuracy.
    pub interval: Option<Interval>,
    /// The smallest effect that could have been seen; none where even a perfect score could not be
    /// found.
    pub detectable: Option<Detectable>,
}

/// The smallest effect that would have been significant after correction.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Detectable {
    /// Correct rows among Overlap.
    pub correct: u64,
    /// The accuracy on Overlap that they make.
    pub accuracy: f64,
    /// The inflation (All - Clean) that they make.
    pub inflation: f64,
}

impl Contamination {
    /// Whether the corrected p is below 0.05.
    pub fn significant(&self) -> bool {
        self.p_corrected.is_some_and(|p| p < 0.05)
    }

    /// Why there is no test; none where there is one.
    pub fn untested(&self) -> Option<&'static str> {
        match (&self.detectable, self.accuracy_clean, self.overlap) {
            (Some(_), ..) => None,
            (None, None, _) => Some("no clean item is left to compare with"),
            (None, Some(_), 0) => Some("no item overlaps"),
            (None, Some(_), _) => Some("too few overlap for a test"),
        }
    }

    /// Whether the interval of Overlap's accuracy excludes Clean's.
    pub fn interval_excludes_clean(&self) -> bool {
        self.interval.zip(self.accuracy_clean).is_some_and(|(i, clean)| i.excludes(clean))
    }
}

/// The paper's statistics from four counts; `tests` is the number of evaluation sets in the suite.
///
/// # Errors
/// Counts that no split of rows can give.
pub fn contamination(
    all: u64,
    overlap: u64,
    correct: u64,
    correct_overlap: u64,
    tests: usize,
) -> Result<Contamination> {
    let counts = |successes, trials| Error::Counts { successes, trials };
    let clean = all.checked_sub(overlap).ok_or_else(|| counts(overlap, all))?;
    let correct_clean =
        correct.checked_sub(correct_overlap).ok_or_else(|| counts(correct_overlap, correct))?;
    if correct_overlap > overlap || correct_clean > clean {
        return Err(counts(correct, all));
    }
    let share = |k: u64, n: u64| (n > 0).then(|| k as f64 / n as f64);
    let rate = share(overlap, all).unwrap_or(0.0);
    let accuracy_all = share(correct, all).unwrap_or(0.0);
    let accuracy_clean = share(correct_clean, clean);
    let accuracy_overlap = share(correct_overlap, overlap);
    let (mut p, mut interval, mut detectable) = (None, None, None);
    if overlap > 0 {
        interval = Some(clopper_pearson(correct_overlap, overlap, 0.995)?);
        if let Some(base) = accuracy_clean {
            p = Some(binomial_tail(correct_overlap, overlap, base)?);
            detectable = smallest_significant(overlap, base, tests, 0.05)?.map(|correct| {
                let accuracy = correct as f64 / overlap as f64;
                Detectable { correct, accuracy, inflation: rate * (accuracy - base) }
            });
        }
    }
    Ok(Contamination {
        all,
        overlap,
        correct,
        correct_overlap,
        rate,
        accuracy_all,
        accuracy_clean,
        accuracy_overlap,
        inflation: accuracy_clean.map(|clean| accuracy_all - clean),
        p,
        p_corrected: p.map(|p| bonferroni(p, tests)),
        tests,
        interval,
        detectable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(found: Option<f64>, expected: f64, tolerance: f64) {
        let found = found.unwrap();
        assert!((found - expected).abs() < tolerance, "{found} is not {expected}");
    }

    /// `scripts/golden/contamination.py` wrote it, with SciPy.
    const GOLDEN: &str = include_str!("../golden/contamination.json");

    #[test]
    fn every_figure_of_the_worked_cases_is_scipys() {
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        let tests = golden["tests"].as_u64().unwrap() as usize;
        let cases = golden["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 4);
        for case in cases {
            let count = |key: &str| case[key].as_u64().unwrap();
            let number = |key: &str| case[key].as_f64().unwrap();
            let (all, overlap) = (count("all"), count("overlap"));
            let c = contamination(all, overlap, count("correct"), count("correct_overlap"), tests);
            let c = c.unwrap();
            for (found, key) in [
                (c.accuracy_clean, "clean"),
                (c.accuracy_overlap, "accuracy_overlap"),
                (c.inflation, "inflation"),
                (c.p, "p"),
                (c.p_corrected, "p_corrected"),
            ] {
                close(found, number(key), 1e-9);
            }
            let ends = case["interval"].as_array().unwrap();
            close(c.interval.map(|i| i.low), ends[0].as_f64().unwrap(), 1e-9);
            close(c.interval.map(|i| i.high), ends[1].as_f64().unwrap(), 1e-9);
            assert_eq!(c.detectable.map(|d| d.correct), case["detectable"].as_u64(), "{case}");
            assert!(!c.significant());
        }
    }

    #[test]
    fn the_papers_printed_figures_come_out() {
        let birdsnap = contamination(2149, 260, 1051, 139, 35).unwrap();
        close(birdsnap.inflation, 0.006270, 5e-7);
        assert!(!birdsnap.interval_excludes_clean());
        assert!((birdsnap.detectable.unwrap().inflation - 0.0119).abs() < 5e-5);
    }

    #[test]
    fn without_overlap_or_without_clean_there_is_no_test() {
        let none = contamination(10, 0, 5, 0, 3).unwrap();
        assert_eq!((none.p, none.interval, none.inflation), (None, None, Some(0.0)));
        let every = contamination(10, 10, 5, 5, 3).unwrap();
        assert_eq!((every.p, every.inflation), (None, None));
        assert!(every.interval.is_some());
        let few = contamination(10, 1, 5, 1, 3).unwrap();
        let reasons = [&none, &every, &few].map(|c| c.untested().unwrap());
        let expected = ["no item overlaps", "no clean item is left", "too few overlap"];
        for (reason, expected) in reasons.into_iter().zip(expected) {
            assert!(reason.starts_with(expected), "{reason}");
        }
        assert!(contamination(10, 4, 9, 1, 3).is_err());
    }

    proptest! {
        #[test]
        fn inflation_is_rate_times_difference(clean in 1u64..500, overlap in 1u64..500, a in 0.0..1.0, b in 0.0..1.0) {
            let (right, right_overlap) = ((clean as f64 * a) as u64, (overlap as f64 * b) as u64);
            let c = contamination(clean + overlap, overlap, right + right_overlap, right_overlap, 5).unwrap();
            let expected = c.rate * (c.accuracy_overlap.unwrap() - c.accuracy_clean.unwrap());
            prop_assert!((c.inflation.unwrap() - expected).abs() < 1e-12);
        }
    }
}
