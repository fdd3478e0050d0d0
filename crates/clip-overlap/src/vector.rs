//! A short vector of the whole picture: its lowest frequencies, flattened so that no one of them rules.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined there is compiled for any processor"
)]

use std::f32::consts::PI;
use std::sync::LazyLock;

use clip_image::Rgb;
use pulp::{Arch, NullaryFnOnce};

use crate::thumb::Plane;

/// Numbers in a vector.
pub const DIMENSIONS: usize = 96;
const GRID: usize = 16;
/// Frequencies kept on each axis of luma, and of each colour difference.
const LUMA: usize = 9;
const COLOUR: usize = 3;

static COSINES: LazyLock<[[f32; GRID]; LUMA]> = LazyLock::new(|| {
    let cosine =
        |k: usize, n: usize| (PI * (2 * n + 1) as f32 * k as f32 / (2 * GRID) as f32).cos();
    std::array::from_fn(|k| std::array::from_fn(|n| cosine(k, n)))
});

/// The vector of a thumbnail: unit length, scaled so that the dot product of two equal ones is about 2^28.
pub(crate) fn vector(thumb: &Rgb) -> Vec<i16> {
    let [red, green, blue] = [0, 1, 2].map(|c| Plane::channel(thumb, c).resized(GRID, GRID).data);
    let mix = |f: fn(f32, f32, f32) -> f32| -> Vec<f32> {
        red.iter().zip(&green).zip(&blue).map(|((&r, &g), &b)| f(r, g, b)).collect()
    };
    let luma = mix(|r, g, b| 0.299 * r + 0.587 * g + 0.114 * b);
    let warm = mix(|r, _, b| r - b);
    let green = mix(|r, g, b| g - f32::midpoint(r, b));
    let mut values = frequencies(&luma, LUMA);
    values.remove(0);
    values.truncate(DIMENSIONS - 2 * (COLOUR * COLOUR - 1));
    for plane in [&warm, &green] {
        // The mean colour stays out: it is what a colour jitter changes.
        values.extend(frequencies(plane, COLOUR).into_iter().skip(1).map(|v| v * 0.5));
    }
    let norm = values.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-6);
    values.resize(DIMENSIONS, 0.0);
    values.iter().map(|v| (v / norm * 16384.0).round() as i16).collect()
}

/// The DCT's `keep` x `keep` lowest coefficients, each times its frequency's weight, lowest first.
fn frequencies(plane: &[f32], keep: usize) -> Vec<f32> {
    let mut lines = [[0f32; GRID]; LUMA];
    for (u, line) in lines.iter_mut().enumerate().take(keep) {
        for (row, cosine) in plane.chunks_exact(GRID).zip(&COSINES[u]) {
            for (sum, value) in line.iter_mut().zip(row) {
                *sum += cosine * value;
            }
        }
    }
    let mut found = Vec::with_capacity(keep * keep);
    for (u, line) in lines.iter().enumerate().take(keep) {
        for (v, cosines) in COSINES.iter().enumerate().take(keep) {
            let value: f32 = line.iter().zip(cosines).map(|(a, b)| a * b).sum();
            // Pictures have spectra of 1/f: the square root of f makes fine structure count, yet not a shift.
            found.push((u + v, value * ((u * u + v * v) as f32).powf(0.25)));
        }
    }
    found.sort_by_key(|(order, _)| *order);
    found.into_iter().map(|(_, value)| value).collect()
}

/// The cosines of a vector and of each of those that follow one another in `others`.
pub(crate) fn cosines(vector: &[i16], others: &[i16]) -> Vec<f32> {
    Arch::new().dispatch(Cosines { vector, others })
}

struct Cosines<'a> {
    vector: &'a [i16],
    others: &'a [i16],
}

impl NullaryFnOnce for Cosines<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn call(self) -> Vec<f32> {
        let others = self.others.as_chunks::<DIMENSIONS>().0;
        let mut found = vec![0.0; others.len()];
        // Loops and no `map`, whose closure might be compiled on its own.
        for (cosine, other) in found.iter_mut().zip(others) {
            let mut dot = 0;
            for (&a, &b) in self.vector.iter().zip(other) {
                dot += i32::from(a) * i32::from(b);
            }
            *cosine = dot as f32 / (16384.0 * 16384.0);
        }
        found
    }
}
