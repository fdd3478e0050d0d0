//! Effective and relative robustness (Taori et al. 2020; paper, section 3.3).
//!
//! The accuracy on a shifted set that a standard model's accuracy on ImageNet predicts is a line in
//! logit space, fitted to the standard models of the ImageNet testbed. What a model has beyond it
//! is its effective robustness.

use std::sync::LazyLock;

use crate::{Bootstrap, Error, Interval, Result, bootstrap};

/// The models of the testbed that were trained in the standard way, with their top-1 accuracies in
/// percent (github.com/modestyachts/imagenet-testbed, MIT, Copyright (c) 2020 Rohan Taori, Achal
/// Dave, Vaishaal Shankar, Nicholas Carlini, Benjamin Recht, Ludwig Schmidt).
const MODELS: &str = include_str!("../data/standard_models.csv");
/// The testbed's seed.
const SEED: u64 = 720_257_663;
const RESAMPLES: usize = 1000;

/// One of the paper's shifts: the set, and the subset of ImageNet that it is checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    /// Its id in the registry of datasets.
    pub id: &'static str,
    /// Its column in the testbed.
    pub column: &'static str,
    /// The column of ImageNet restricted to its classes.
    pub base: &'static str,
}

/// The seven shifts of the paper.
pub const SHIFTS: [Shift; 7] = [
    Shift { id: "imagenetv2", column: "imagenetv2-matched-frequency-format-val", base: "val" },
    Shift { id: "imagenet-sketch", column: "imagenet-sketch", base: "val" },
    Shift { id: "imagenet-r", column: "imagenet-r", base: "val-on-imagenet-r-classes" },
    Shift { id: "objectnet", column: "objectnet-1.0-beta", base: "val-on-objectnet-classes" },
    Shift {
        id: "imagenet-vid",
        column: "imagenet-vid-robust_pm0",
        base: "val-on-vid-robust-classes",
    },
    Shift { id: "youtube-bb", column: "ytbb-robust_pm0", base: "val-on-ytbb-robust-classes" },
    Shift { id: "imagenet-a", column: "imagenet-a", base: "val" },
];

/// A line in logit space, with the points that it was fitted to.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// Its slope.
    pub slope: f64,
    /// Its intercept.
    pub intercept: f64,
    /// Pearson's correlation of the logits.
    pub r: f64,
    /// Accuracies in (0, 1): on ImageNet, on the shifted set.
    pub points: Vec<(f64, f64)>,
}

/// A model beside the baseline.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Robustness {
    /// Accuracy on ImageNet (or the classes of the set).
    pub base: f64,
    /// Accuracy on the shifted set.
    pub shifted: f64,
    /// What the line predicts.
    pub predicted: f64,
    /// 95% band of the prediction, from resampled models.
    pub band: Interval,
    /// What the model has beyond the prediction.
    pub effective: f64,
}

static TABLE: LazyLock<Vec<Vec<&'static str>>> =
    LazyLock::new(|| MODELS.lines().map(|line| line.split(',').collect()).collect());

/// ln(a / (1 - a)).
pub fn logit(accuracy: f64) -> f64 {
    (accuracy / (1.0 - accuracy)).ln()
}

/// The inverse of [`logit`].
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Accuracies of the standard models on two settings of the testbed, in (0, 1), where both are
/// known.
pub fn standard_models(base: &str, column: &str) -> Result<Vec<(f64, f64)>> {
    let missing = |name: &str| Error::Unknown { name: name.to_owned() };
    let find = |name: &str| {
        TABLE[0].iter().position(|column| *column == name).ok_or_else(|| missing(name))
    };
    let (x, y) = (find(base)?, find(column)?);
    let share =
        |cell: &str| cell.parse::<f64>().ok().map(|p| p / 100.0).filter(|p| *p > 0.0 && *p < 1.0);
    Ok(TABLE[1..].iter().filter_map(|row| share(row[x]).zip(share(row[y]))).collect())
}

impl Baseline {
    /// Fits the line to accuracies in (0, 1) by least squares.
    ///
    /// # Errors
    /// Fewer than two different points.
    pub fn fit(points: &[(f64, f64)]) -> Result<Self> {
        let logits: Vec<(f64, f64)> = points.iter().map(|&(x, y)| (logit(x), logit(y))).collect();
        let (slope, intercept, r) = line(&logits).ok_or(Error::Empty)?;
        Ok(Self { slope, intercept, r, points: points.to_vec() })
    }

    /// The baseline of a shift, from the testbed's standard models.
    pub fn of(shift: &Shift) -> Result<Self> {
        Self::fit(&standard_models(shift.base, shift.column)?)
    }

    /// The accuracy that the line predicts.
    pub fn predict(&self, base: f64) -> f64 {
        sigmoid(self.slope * logit(base) + self.intercept)
    }

    /// The 95% band of the prediction: the models are resampled 1,000 times.
    pub fn band(&self, base: f64) -> Result<Interval> {
        let logits: Vec<(f64, f64)> =
            self.points.iter().map(|&(x, y)| (logit(x), logit(y))).collect();
        let predicted = |draw: &[usize]| {
            let drawn: Vec<(f64, f64)> = draw.iter().map(|&row| logits[row]).collect();
            line(&drawn)
                .map_or(f64::NAN, |(slope, intercept, _)| sigmoid(slope * logit(base) + intercept))
        };
        Ok(bootstrap(logits.len(), RESAMPLES, SEED, 0.95, predicted)?.interval)
    }

    /// A model beside the line; accuracies in (0, 1).
    pub fn robustness(&self, base: f64, shifted: f64) -> Result<Robustness> {
        if !(base > 0.0 && base < 1.0 && (0.0..=1.0).contains(&shifted)) {
            return Err(Error::Probability { name: "accuracy" });
        }
        let predicted = self.predict(base);
        let band = self.band(base)?;
        Ok(Robustness { base, shifted, predicted, band, effective: shifted - predicted })
    }
}

/// Slope, intercept and correlation of a line by least squares; none where x does not vary.
fn line(points: &[(f64, f64)]) -> Option<(f64, f64, f64)> {
    let n = points.len() as f64;
    let (mx, my) = points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in points {
        xx += (x - mx) * (x - mx);
        xy += (x - mx) * (y - my);
        yy += (y - my) * (y - my);
    }
    if points.len() < 2 || xx < 1e-12 {
        return None;
    }
    let slope = xy / xx;
    Some((slope, my - slope * mx, if yy > 0.0 { xy / (xx * yy).sqrt() } else { 0.0 }))
}

/// Slope of y on x with its 95% bootstrap interval, and the correlation (paper, figure 8: zero-shot
/// against a fully supervised probe over datasets).
pub fn slope(points: &[(f64, f64)]) -> Result<(Bootstrap, f64)> {
    let (_, _, r) = line(points).ok_or(Error::Empty)?;
    let of = |draw: &[usize]| {
        let drawn: Vec<(f64, f64)> = draw.iter().map(|&row| points[row]).collect();
        line(&drawn).map_or(f64::NAN, |(slope, _, _)| slope)
    };
    Ok((bootstrap(points.len(), RESAMPLES, SEED, 0.95, of)?, r))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fits_are_the_testbeds() {
        for (id, n, slope, intercept, r) in [
            ("imagenetv2", 87, 0.9233, -0.4982, 0.9980),
            ("imagenet-sketch", 87, 1.0712, -2.3722, 0.9317),
            ("imagenet-r", 82, 0.6372, -2.1104, 0.9425),
            ("objectnet", 87, 0.9803, -1.9260, 0.9756),
            ("imagenet-vid", 87, 0.5331, -1.4590, 0.9735),
            ("youtube-bb", 86, 0.3387, -1.1119, 0.9096),
            ("imagenet-a", 86, 3.0556, -6.3217, 0.8694),
        ] {
            let shift = SHIFTS.iter().find(|shift| shift.id == id).unwrap();
            let fit = Baseline::of(shift).unwrap();
            assert_eq!(fit.points.len(), n, "{id}");
            for (found, wanted) in [(fit.slope, slope), (fit.intercept, intercept), (fit.r, r)] {
                assert!((found - wanted).abs() < 1e-3, "{id}: {found} is not {wanted}");
            }
        }
    }

    #[test]
    fn clip_lies_above_the_line() {
        let of = |id: &str, shifted| {
            let shift = SHIFTS.iter().find(|shift| shift.id == id).unwrap();
            Baseline::of(shift).unwrap().robustness(0.762, shifted).unwrap()
        };
        let v2 = of("imagenetv2", 0.701);
        assert!(
            (v2.predicted - 0.6402).abs() < 2e-4 && (v2.effective - 0.061).abs() < 1e-3,
            "{v2:?}"
        );
        assert!(v2.band.low < v2.predicted && v2.predicted < v2.band.high);
        assert!(v2.band.high - v2.band.low < 0.01, "{v2:?}");
        let sketch = of("imagenet-sketch", 0.602);
        assert!((sketch.effective - 0.357).abs() < 2e-3, "{sketch:?}");
        let resnet = of("imagenetv2", 0.6545);
        assert!(resnet.effective.abs() < 0.02);
    }

    #[test]
    fn points_on_one_spot_have_no_line() {
        assert!(Baseline::fit(&[(0.5, 0.5), (0.5, 0.6)]).is_err());
        let (slope, r) = slope(&[(0.1, 0.2), (0.2, 0.4), (0.3, 0.6), (0.5, 1.0)]).unwrap();
        assert!((slope.estimate - 2.0).abs() < 1e-9 && (r - 1.0).abs() < 1e-9);
    }
}
