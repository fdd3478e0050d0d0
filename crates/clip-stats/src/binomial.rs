//! The binomial distribution: exact intervals, the upper tail, and what could have been seen.

use statrs::function::beta::beta_reg;

use crate::{Error, Result};

/// A closed interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether `value` is outside.
    pub fn excludes(&self, value: f64) -> bool {
        value < self.low || value > self.high
    }
}

fn check(successes: u64, trials: u64) -> Result<()> {
    if successes > trials {
        return Err(Error::Counts { successes, trials });
    }
    Ok(())
}

/// Clopper-Pearson interval of a proportion, `confidence` as in 0.995 (paper, section 5).
///
/// # Errors
/// More successes than trials, or a confidence outside (0, 1). Without trials the interval is [0,
/// 1].
pub fn clopper_pearson(successes: u64, trials: u64, confidence: f64) -> Result<Interval> {
    check(successes, trials)?;
    if !(confidence > 0.0 && confidence < 1.0) {
        return Err(Error::Probability { name: "confidence" });
    }
    let tail = (1.0 - confidence) / 2.0;
    let (k, rest) = (successes as f64, (trials - successes) as f64);
    let low = if successes == 0 { 0.0 } else { beta_quantile(tail, k, rest + 1.0) };
    let high = if successes == trials { 1.0 } else { beta_quantile(1.0 - tail, k + 1.0, rest) };
    Ok(Interval { low, high })
}

/// The x at which the regularised incomplete beta function reaches `p`.
///
/// Bisection: the function is monotonic, and sixty halvings leave nothing that a double could show.
fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if beta_reg(a, b, middle) < p { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// P[Bin(trials, probability) >= successes], the one-sided (greater) test.
///
/// # Errors
/// More successes than trials, or `probability` outside [0, 1].
pub fn binomial_tail(successes: u64, trials: u64, probability: f64) -> Result<f64> {
    check(successes, trials)?;
    if !(0.0..=1.0).contains(&probability) {
        return Err(Error::Probability { name: "probability" });
    }
    if successes == 0 {
        return Ok(1.0);
    }
    Ok(beta_reg(successes as f64, (trials - successes) as f64 + 1.0, probability))
}

/// The p-value corrected for `tests` tests, capped at 1.
pub fn bonferroni(p: f64, tests: usize) -> f64 {
    (p * tests as f64).min(1.0)
}

/// The fewest successes whose one-sided p, corrected for `tests`, is below `level`; none where
/// even all do not.
///
/// # Errors
/// `probability` or `level` is no probability.
pub fn smallest_significant(
    trials: u64,
    probability: f64,
    tests: usize,
    level: f64,
) -> Result<Option<u64>> {
    if !(level > 0.0 && level < 1.0) {
        return Err(Error::Probability { name: "level" });
    }
    let seen = |k| Ok(binomial_tail(k, trials, probability)? * tests as f64) as Result<f64>;
    if trials == 0 || seen(trials)? >= level {
        return Ok(None);
    }
    let (mut fails, mut passes) = (0, trials);
    while passes - fails > 1 {
        let middle = u64::midpoint(fails, passes);
        if seen(middle)? < level { passes = middle } else { fails = middle }
    }
    Ok(Some(passes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scripts/golden/contamination.py` wrote it, with SciPy.
    const GOLDEN: &str = include_str!("../golden/contamination.json");

    /// The rows of one of its tables.
    fn golden(name: &str) -> Vec<Vec<f64>> {
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        let row = |row: &serde_json::Value| {
            row.as_array().unwrap().iter().map(|cell| cell.as_f64().unwrap()).collect()
        };
        golden[name].as_array().unwrap().iter().map(row).collect()
    }

    #[test]
    fn tails_and_intervals_are_scipys() {
        let rows = golden("tails");
        assert_eq!(rows.len(), 6);
        for row in rows {
            let (k, n) = (row[0] as u64, row[1] as u64);
            assert!((binomial_tail(k, n, row[2]).unwrap() - row[3]).abs() < 1e-9, "{k}/{n}");
            let interval = clopper_pearson(k, n, 0.995).unwrap();
            assert!((interval.low - row[4]).abs() < 1e-9, "{k}/{n} {interval:?}");
            assert!((interval.high - row[5]).abs() < 1e-9, "{k}/{n} {interval:?}");
        }
    }

    #[test]
    fn intervals_of_few_and_of_many() {
        let rows = golden("intervals");
        assert_eq!(rows.len(), 5);
        for row in rows {
            let (k, n) = (row[0] as u64, row[1] as u64);
            let interval = clopper_pearson(k, n, 0.995).unwrap();
            assert!((interval.low - row[2]).abs() < 1e-9, "{k}/{n} {interval:?}");
            assert!((interval.high - row[3]).abs() < 1e-9, "{k}/{n} {interval:?}");
        }
    }

    #[test]
    fn the_smallest_effect_is_on_the_edge() {
        let birdsnap = 912.0 / 1889.0;
        assert_eq!(smallest_significant(260, birdsnap, 35, 0.05).unwrap(), Some(151));
        let country = 4870.0 / 16564.0;
        assert_eq!(smallest_significant(4536, country, 35, 0.05).unwrap(), Some(1427));
        assert_eq!(smallest_significant(4, 0.5, 35, 0.05).unwrap(), None);
        assert_eq!(smallest_significant(0, 0.5, 1, 0.05).unwrap(), None);
    }

    #[test]
    fn impossible_counts_are_errors() {
        assert!(binomial_tail(3, 2, 0.5).is_err());
        assert!(clopper_pearson(1, 2, 1.0).is_err());
        assert!(binomial_tail(1, 2, f64::NAN).is_err());
    }
}
