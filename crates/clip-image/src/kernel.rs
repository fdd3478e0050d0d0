//! Pillow's kernels of resampling, and their weights in fixed point.

use std::f64::consts::PI;

/// Bits of a weight after the point.
pub(crate) const BITS: u32 = 22;

/// The kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kernel {
    /// A triangle of one pixel either way.
    Bilinear,
    /// Keys' cubic with a = -0.5.
    Bicubic,
    /// Three lobes.
    Lanczos,
}

impl Kernel {
    /// It is zero from here on, either way.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn value(self, x: f64) -> f64 {
        match self {
            Self::Bilinear => (1.0 - x.abs()).max(0.0),
            Self::Bicubic => bicubic(x.abs()),
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}

/// Of target pixel `at` of `target` over `source` ones: the first source pixel, and the weights
/// from there on.
pub(crate) fn weights(
    source: usize,
    target: usize,
    at: usize,
    kernel: Kernel,
) -> (usize, Vec<i32>) {
    let scale = source as f64 / target as f64;
    let stretch = scale.max(1.0);
    let (support, shrink) = (kernel.support() * stretch, 1.0 / stretch);
    let centre = (at as f64 + 0.5) * scale;
    // The conversions truncate toward zero, as C's do.
    let first = (centre - support + 0.5).max(0.0) as usize;
    let last = ((centre + support + 0.5) as usize).min(source);
    let weight = |pixel: usize| kernel.value((pixel as f64 - centre + 0.5) * shrink);
    let weights: Vec<f64> = (first..last).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    let fixed = |weight: &f64| {
        let weight = if sum == 0.0 { *weight } else { weight / sum };
        (weight * f64::from(1 << BITS) + 0.5f64.copysign(weight)) as i32
    };
    (first, weights.iter().map(fixed).collect())
}
