//! Local features: places that stand out, each with 64 bits of what surrounds it. They find crops
//! and zooms.

use std::f32::consts::PI;
use std::sync::LazyLock;

use clip_image::Rgb;

use crate::pyramid::{Plane, shrink};

/// Longer side in pixels of the largest level.
const SIDE: u32 = 256;
/// Ratio of one level to the next.
const STEP: f32 = 0.8;
/// Side of the square that a descriptor sees, in pixels of its level.
const PATCH: usize = 28;
/// Most keypoints of one level.
const LEVEL: usize = 24;

/// One place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Keypoint {
    /// Centre as a share of the width.
    pub x: f32,
    /// Centre as a share of the height.
    pub y: f32,
    /// Side of what the descriptor sees, as a share of the width.
    pub size: f32,
    /// Signs of the lowest frequencies around it.
    pub bits: u64,
}

/// The keypoints of an image, and those of its mirror image, from fine to coarse.
pub(crate) fn keypoints_both_ways(image: &Rgb) -> [Vec<Keypoint>; 2] {
    let base = Plane::luma(&shrink(image, SIDE));
    let (mut plain, mut mirrored) = (Vec::new(), Vec::new());
    let mut scale = 1.0f32;
    loop {
        let side = |length: usize| (length as f32 * scale).round() as usize;
        let (width, height) = (side(base.width), side(base.height));
        if width.min(height) < PATCH + 4 {
            return [plain, mirrored];
        }
        let level = if scale == 1.0 { base.clone() } else { base.resized(width, height) };
        for (x, y) in extrema(&level) {
            let (size, share) = (PATCH as f32 / width as f32, (x as f32 + 0.5) / width as f32);
            let there = |x, bits| Keypoint { x, y: (y as f32 + 0.5) / height as f32, size, bits };
            plain.push(there(share, describe(&level, x, y)));
            // A patch has no middle pixel: that of the mirror image begins one further right.
            mirrored.push(there(1.0 - share, describe(&level, x + 1, y) ^ *ODD));
        }
        scale *= STEP;
    }
}

/// The strongest local extrema of a difference of blurs, far enough from the edges.
fn extrema(level: &Plane) -> Vec<(usize, usize)> {
    let (fine, coarse) = (level.blurred(1).blurred(1), level.blurred(3).blurred(3));
    let response: Vec<f32> =
        fine.data.iter().zip(&coarse.data).map(|(a, b)| (a - b).abs()).collect();
    let half = PATCH / 2;
    let mut found = Vec::new();
    for y in half..level.height - half {
        for x in half..level.width - half {
            let value = response[y * level.width + x];
            if value < 4.0 {
                continue;
            }
            let around = (y - 3..=y + 3).flat_map(|v| (x - 3..=x + 3).map(move |u| (u, v)));
            let peak = around.into_iter().all(|(u, v)| {
                let other = response[v * level.width + u];
                other < value || (other == value && (v, u) >= (y, x))
            });
            if peak {
                found.push((value, x, y));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.2, a.1).cmp(&(b.2, b.1))));
    found.truncate(LEVEL);
    found.into_iter().map(|(_, x, y)| (x, y)).collect()
}

static COSINES: LazyLock<[[f32; PATCH]; 9]> = LazyLock::new(|| {
    let cosine =
        |k: usize, n: usize| (PI * (2 * n + 1) as f32 * k as f32 / (2 * PATCH) as f32).cos();
    std::array::from_fn(|k| std::array::from_fn(|n| cosine(k, n)))
});

/// The 64 lowest frequencies but the mean, lowest first.
static ORDER: LazyLock<Vec<(usize, usize)>> = LazyLock::new(|| {
    let mut all: Vec<(usize, usize)> = (0..81).map(|i| (i / 9, i % 9)).skip(1).collect();
    all.sort_by_key(|&(u, v)| (u * u + v * v, u));
    all.truncate(64);
    all
});

/// The bits that a mirror turns round: those of odd frequencies across.
static ODD: LazyLock<u64> =
    LazyLock::new(|| ORDER.iter().fold(0, |bits, &(_, v)| (bits << 1) | (v % 2) as u64));

fn describe(level: &Plane, x: usize, y: usize) -> u64 {
    let half = PATCH / 2;
    let mut lines = [[0f32; PATCH]; 9];
    for n in 0..PATCH {
        let row = &level.data[(y - half + n) * level.width + x - half..][..PATCH];
        for (line, cosines) in lines.iter_mut().zip(COSINES.iter()) {
            line.iter_mut().zip(row).for_each(|(sum, value)| *sum += cosines[n] * value);
        }
    }
    ORDER.iter().fold(0, |bits, &(u, v)| {
        let value: f32 = lines[u].iter().zip(&COSINES[v]).map(|(a, b)| a * b).sum();
        (bits << 1) | u64::from(value > 0.0)
    })
}
