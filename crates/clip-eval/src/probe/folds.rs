//! Means over predefined folds.

use serde::Serialize;

/// A mean over folds, with its spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of a sample (n - 1); none of one fold.
    pub std: Option<f64>,
}

/// Mean and spread of the values of all folds; none where a fold has none.
pub fn summary(values: impl IntoIterator<Item = Option<f64>>) -> Option<Summary> {
    let values: Vec<f64> = values.into_iter().collect::<Option<_>>()?;
    let n = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some(Summary { mean, std: (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_a_sample() {
        // numpy.std([0.9, 0.8, 0.7], ddof=1) = 0.1
        let found = summary([Some(0.9), Some(0.8), Some(0.7)]).unwrap();
        assert!((found.mean - 0.8).abs() < 1e-12 && (found.std.unwrap() - 0.1).abs() < 1e-12);
        assert_eq!(summary([Some(0.5)]), Some(Summary { mean: 0.5, std: None }));
        assert_eq!((summary([Some(0.5), None]), summary([])), (None, None));
    }
}
