//! The bootstrap, for metrics that are not proportions.

use clip_random::SplitMix64;

use crate::{Error, Interval, Result};

/// What resampling gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Bootstrap {
    /// The statistic of all rows as they are.
    pub estimate: f64,
    /// Its percentile interval.
    pub interval: Interval,
    /// Resamples drawn.
    pub resamples: usize,
    /// The seed they were drawn with.
    pub seed: u64,
}

/// Resamples `rows` row numbers with replacement and takes `statistic` of each.
///
/// A paired comparison, as of a metric on all and on clean rows, is one statistic: the difference
/// of the two on the same draw. Draws on which it is not finite (a draw without clean rows) are
/// left out of the interval.
///
/// # Errors
/// No rows, no resamples, or a confidence outside (0, 1).
pub fn bootstrap(
    rows: usize,
    resamples: usize,
    seed: u64,
    confidence: f64,
    statistic: impl Fn(&[usize]) -> f64,
) -> Result<Bootstrap> {
    if rows == 0 || resamples == 0 {
        return Err(Error::Empty);
    }
    if !(confidence > 0.0 && confidence < 1.0) {
        return Err(Error::Probability { name: "confidence" });
    }
    let all: Vec<usize> = (0..rows).collect();
    let estimate = statistic(&all);
    let mut numbers = SplitMix64::new(seed);
    let mut draw = vec![0; rows];
    let mut values = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        for row in &mut draw {
            *row = numbers.below(rows);
        }
        values.push(statistic(&draw));
    }
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    let interval = Interval { low: quantile(&values, tail), high: quantile(&values, 1.0 - tail) };
    Ok(Bootstrap { estimate, interval, resamples, seed })
}

/// Linear between the two nearest values, as NumPy's default; NaN of nothing.
fn quantile(sorted: &[f64], at: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = at * last as f64;
    let below = position.floor() as usize;
    let share = position - below as f64;
    sorted[below] + share * (sorted[(below + 1).min(last)] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_near_the_normal_one() {
        let rows: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
        let mean = |draw: &[usize]| draw.iter().map(|&i| rows[i]).sum::<f64>() / draw.len() as f64;
        let found = bootstrap(400, 2000, 7, 0.95, mean).unwrap();
        assert_eq!(found.estimate, 0.5);
        assert!((found.interval.low - 0.451).abs() < 0.01, "{found:?}");
        assert!((found.interval.high - 0.549).abs() < 0.01, "{found:?}");
        assert_eq!(found, bootstrap(400, 2000, 7, 0.95, mean).unwrap());
    }

    #[test]
    fn nothing_has_no_interval() {
        assert_eq!(bootstrap(0, 10, 0, 0.95, |_| 0.0), Err(Error::Empty));
    }
}
