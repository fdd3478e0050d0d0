//! PDQ, 256 bits (Meta 2019), as Python `pdqhash` computes it from RGB.
//!
//! Two passes of box filters over luma (Jarosz 2001) and picking 64 x 64 of the pixels, then the 16
//! x 16 lowest frequencies but the constant one, against their median. Sums run in the order of the
//! reference, in `f32`, so that the bits are the same.

use std::sync::LazyLock;

use crate::Rgb;

/// Pixels a side of the small image.
const SMALL: usize = 64;
/// Frequencies a side.
const LOW: usize = 16;
/// Images with a shorter side have no hash.
const LEAST: u32 = 5;

/// A hash and how much it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pdq {
    /// Highest bit first.
    pub bits: [u64; 4],
    /// From 0 to 100: an image of little detail has little. Meta trusts hashes from 50 on.
    pub quality: u8,
}

impl Pdq {
    /// Hashes an image; one with a side below 5 pixels has no bit set and quality 0.
    pub fn of(image: &Rgb) -> Self {
        if image.width.min(image.height) < LEAST {
            return Self { bits: [0; 4], quality: 0 };
        }
        let small = shrink(image);
        let low = low_frequencies(&small);
        let mut sorted = low;
        sorted.sort_by(f32::total_cmp);
        // The lower of the two middle values.
        let threshold = sorted[LOW * LOW / 2 - 1];
        let mut bits = [0; 4];
        for (at, _) in low.iter().enumerate().filter(|(_, value)| **value > threshold) {
            bits[3 - at / 64] |= 1 << (at % 64);
        }
        Self { bits, quality: quality(&small) }
    }

    /// 64 lower-case hex digits, as Meta's tools print them.
    pub fn hex(&self) -> String {
        self.bits.iter().map(|word| format!("{word:016x}")).collect()
    }

    /// Bits in which two hashes differ; Meta takes up to 31 as a match.
    pub fn distance(&self, other: &Self) -> u32 {
        self.bits.iter().zip(&other.bits).map(|(a, b)| (a ^ b).count_ones()).sum()
    }
}

fn shrink(image: &Rgb) -> [f32; SMALL * SMALL] {
    let (width, height) = (image.width as usize, image.height as usize);
    let mut luma: Vec<f32> = image
        .data
        .chunks_exact(3)
        .map(|p| {
            (f64::from(p[0]) * 0.299 + f64::from(p[1]) * 0.587 + f64::from(p[2]) * 0.114) as f32
        })
        .collect();
    if (width, height) != (SMALL, SMALL) {
        let mut other = vec![0.0; luma.len()];
        let window = |length: usize| length.div_ceil(2 * SMALL);
        for _ in 0..2 {
            for (from, to) in luma.chunks_exact(width).zip(other.chunks_exact_mut(width)) {
                box_row(from, to, window(width));
            }
            box_columns(&other, &mut luma, width, window(height));
        }
    }
    let centre =
        |at: usize, length: usize| ((at as f64 + 0.5) * length as f64 / SMALL as f64) as usize;
    std::array::from_fn(|i| luma[centre(i / SMALL, height) * width + centre(i % SMALL, width)])
}

/// How far a window reaches: pixels before the middle, pixels from the middle on.
fn reach(window: usize) -> (usize, usize) {
    let after = window.midpoint(2);
    (window - after, after)
}

/// The mean over a window around each pixel, cut at the ends.
fn box_row(from: &[f32], to: &mut [f32], window: usize) {
    let (before, after) = reach(window);
    let mut sum: f32 = from[..after - 1].iter().sum();
    let mut count = after - 1;
    for (at, mean) in to.iter_mut().enumerate() {
        if let Some(enters) = from.get(at + after - 1) {
            sum += enters;
            count += 1;
        }
        if at > before {
            sum -= from[at - before - 1];
            count -= 1;
        }
        *mean = sum / count as f32;
    }
}

/// The same down every column, all columns at a time.
fn box_columns(from: &[f32], to: &mut [f32], width: usize, window: usize) {
    let (before, after) = reach(window);
    let rows: Vec<&[f32]> = from.chunks_exact(width).collect();
    let mut sums = vec![0f32; width];
    let add = |sums: &mut [f32], row: &[f32]| sums.iter_mut().zip(row).for_each(|(s, v)| *s += v);
    rows[..after - 1].iter().for_each(|row| add(&mut sums, row));
    let mut count = after - 1;
    for (at, means) in to.chunks_exact_mut(width).enumerate() {
        if let Some(enters) = rows.get(at + after - 1) {
            add(&mut sums, enters);
            count += 1;
        }
        if at > before {
            let leaves = rows[at - before - 1];
            sums.iter_mut().zip(leaves).for_each(|(sum, value)| *sum -= value);
            count -= 1;
        }
        let count = count as f32;
        means.iter_mut().zip(&sums).for_each(|(mean, sum)| *mean = sum / count);
    }
}

/// Rows 1 to 16 of the 64-point DCT-II.
static DCT: LazyLock<[[f32; SMALL]; LOW]> = LazyLock::new(|| {
    let scale = f64::from((2.0 / SMALL as f64).sqrt() as f32);
    let step = std::f64::consts::PI / 2.0 / SMALL as f64;
    let cosine = |i: usize, j: usize| (step * (i + 1) as f64 * (2 * j + 1) as f64).cos();
    std::array::from_fn(|i| std::array::from_fn(|j| (scale * cosine(i, j)) as f32))
});

fn low_frequencies(small: &[f32; SMALL * SMALL]) -> [f32; LOW * LOW] {
    let dct = &*DCT;
    let mut low = [0f32; LOW * LOW];
    for (i, weights) in dct.iter().enumerate() {
        let mut line = [0f32; SMALL];
        for (weight, row) in weights.iter().zip(small.chunks_exact(SMALL)) {
            line.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
        }
        for (j, weights) in dct.iter().enumerate() {
            low[i * LOW + j] =
                line.iter().zip(weights).fold(0.0, |sum, (value, weight)| sum + value * weight);
        }
    }
    low
}

/// How much neighbouring pixels differ, in steps of a hundredth of the range.
fn quality(small: &[f32; SMALL * SMALL]) -> u8 {
    let step = |a: f32, b: f32| ((a - b) * 100.0 / 255.0).abs() as u32;
    let mut sum = 0;
    for y in 0..SMALL {
        for x in 0..SMALL {
            let at = y * SMALL + x;
            if y + 1 < SMALL {
                sum += step(small[at], small[at + SMALL]);
            }
            if x + 1 < SMALL {
                sum += step(small[at], small[at + 1]);
            }
        }
    }
    (sum / 90).min(100) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_cut_at_the_ends() {
        let from: Vec<f32> = (0..16).map(|i| i as f32).collect();
        let mut to = vec![0.0; 16];
        box_row(&from, &mut to, 7);
        assert_eq!((to[0], to[3], to[8], to[15]), (1.5, 3.0, 8.0, 13.5));
        box_row(&from, &mut to, 8);
        assert_eq!((to[0], to[4], to[15]), (2.0, 4.5, 13.5));
        let mut columns = vec![0.0; 16];
        box_columns(&from, &mut columns, 1, 8);
        assert_eq!(columns, to);
        box_row(&from, &mut to, 1);
        assert_eq!(to, from);
    }

    #[test]
    fn tiny_images_have_no_hash() {
        let hash = Pdq::of(&Rgb::filled(4, 400, [9; 3]));
        assert_eq!((hash.bits, hash.quality), ([0; 4], 0));
        assert_eq!(hash.hex(), "0".repeat(64));
    }
}
