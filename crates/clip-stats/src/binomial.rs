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
    /// Whether `value` lies outside.
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
/// More successes than trials, or a confidence outside (0, 1). Without trials the interval is [0, 1].
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

/// The fewest successes whose one-sided p, corrected for `tests`, lies below `level`; none where even all do not.
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

    /// scipy.stats.binomtest(k, n, p, "greater") and its exact interval at 99.5%.
    const SCIPY: [(u64, u64, f64, f64, f64, f64); 6] = [
        (70, 100, 0.60, 0.02478282312, 0.5577435892, 0.8193878957),
        (6, 50, 0.05, 0.03777617299, 0.02764472009, 0.2999436661),
        (0, 12, 0.50, 1.0, 0.0, 0.393037769),
        (12, 12, 0.70, 0.0138412872, 0.606962231, 1.0),
        (180, 242, 0.70, 0.07675267432, 0.6578572175, 0.8182201772),
        (37, 300, 0.10, 0.1077082857, 0.07578426862, 0.1853595607),
    ];

    #[test]
    fn tails_and_intervals_are_scipys() {
        for (k, n, p, tail, low, high) in SCIPY {
            assert!((binomial_tail(k, n, p).unwrap() - tail).abs() < 1e-9, "{k}/{n}");
            let interval = clopper_pearson(k, n, 0.995).unwrap();
            assert!((interval.low - low).abs() < 1e-9, "{k}/{n} {interval:?}");
            assert!((interval.high - high).abs() < 1e-9, "{k}/{n} {interval:?}");
        }
    }

    #[test]
    fn intervals_of_few_and_of_many() {
        for (k, n, low, high) in [
            (0, 10, 0.0, 0.450720),
            (1, 10, 0.000250, 0.580587),
            (10, 10, 0.549280, 1.0),
            (5, 10, 0.109835, 0.890165),
            (38100, 50000, 0.756615, 0.767326),
        ] {
            let interval = clopper_pearson(k, n, 0.995).unwrap();
            assert!((interval.low - low).abs() < 5.1e-7, "{k}/{n} {interval:?}");
            assert!((interval.high - high).abs() < 5.1e-7, "{k}/{n} {interval:?}");
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
