//! The mean of a few measurements, with Student's interval.

use statrs::function::beta::beta_reg;

use crate::{Error, Interval, Result};

/// A mean, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Standard deviation of the measurements (n - 1); none of one.
    pub sd: Option<f64>,
    /// Student's interval of the mean; none of one measurement.
    pub interval: Option<Interval>,
    /// The measurements.
    pub n: usize,
}

impl Mean {
    /// Of some measurements, with the interval at `confidence`, as in 0.95.
    ///
    /// # Errors
    /// No measurement, or a confidence outside (0, 1).
    pub fn of(values: &[f64], confidence: f64) -> Result<Self> {
        if values.is_empty() {
            return Err(Error::Empty);
        }
        if !(confidence > 0.0 && confidence < 1.0) {
            return Err(Error::Probability { name: "confidence" });
        }
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        if n == 1 {
            return Ok(Self { mean, sd: None, interval: None, n });
        }
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let sd = (squares / (n - 1) as f64).sqrt();
        let reach = t_quantile(confidence, (n - 1) as f64) * sd / (n as f64).sqrt();
        let interval = Some(Interval { low: mean - reach, high: mean + reach });
        Ok(Self { mean, sd: Some(sd), interval, n })
    }
}

/// The t within which a share `confidence` of Student's distribution is, on both sides of 0.
///
/// P[|T| > t] is the regularised incomplete beta function of df / (df + t^2), which is bisected.
fn t_quantile(confidence: f64, df: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..200 {
        let x = f64::midpoint(low, high);
        if beta_reg(df / 2.0, 0.5, x) < 1.0 - confidence { low = x } else { high = x }
    }
    let x = f64::midpoint(low, high);
    (df * (1.0 - x) / x).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_scipys() {
        let golden = include_str!("../golden/contamination.json");
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        let rows = golden["means"].as_array().unwrap();
        assert_eq!(rows.len(), 4);
        for row in rows {
            let values = row["values"].as_array().unwrap().iter();
            let values: Vec<f64> = values.map(|value| value.as_f64().unwrap()).collect();
            let found = Mean::of(&values, 0.95).unwrap();
            let interval = found.interval.unwrap();
            for (found, key) in
                [(found.mean, "mean"), (interval.low, "low"), (interval.high, "high")]
            {
                assert!((found - row[key].as_f64().unwrap()).abs() < 1e-9, "{key} of {row}");
            }
        }
    }

    #[test]
    fn one_measurement_has_no_interval() {
        let one = Mean::of(&[0.25], 0.95).unwrap();
        assert_eq!((one.mean, one.sd, one.interval), (0.25, None, None));
        assert!(Mean::of(&[], 0.95).is_err() && Mean::of(&[1.0, 2.0], 1.0).is_err());
    }
}
