//! The bits of Python `imagehash`: grey first, then resize, and strict thresholds.

use super::{dct, median, pack};
use crate::Rgb;
use crate::kernel::Kernel;
use crate::resample::{Pixels, resample};

fn small(image: &Rgb, width: usize, height: usize) -> Vec<u8> {
    let size = (image.width as usize, image.height as usize);
    resample(Pixels::packed(&image.luma(), 1, size), (width, height), Kernel::Lanczos)
}

/// `imagehash.phash`: the median is over all 64 coefficients.
pub fn phash(image: &Rgb) -> u64 {
    let low = dct::low_frequencies(&small(image, 32, 32));
    let threshold = median(&low);
    pack(low.iter().map(|value| *value > threshold))
}

/// `imagehash.dhash`.
pub fn dhash(image: &Rgb) -> u64 {
    let pixels = small(image, 9, 8);
    pack(pixels.chunks_exact(9).flat_map(|row| row.windows(2).map(|pair| pair[1] > pair[0])))
}

/// `imagehash.average_hash`.
pub fn ahash(image: &Rgb) -> u64 {
    let pixels = small(image, 8, 8);
    let sum: u32 = pixels.iter().map(|&p| u32::from(p)).sum();
    pack(pixels.iter().map(|&p| u32::from(p) * 64 > sum))
}

/// `imagehash.whash`: the square's side is the largest power of two within the image, at least 8.
///
/// It subtracts the mean by a Haar transform there and back. Where blocks are equal (a spotlight in
/// the black), what that leaves by rounding decides, so each step rounds as PyWavelets does.
pub fn whash(image: &Rgb) -> u64 {
    let shorter = image.width.min(image.height).max(8);
    let side: usize = 1 << shorter.ilog2();
    let mut pixels: Vec<f64> =
        small(image, side, side).iter().map(|&p| f64::from(p) / 255.0).collect();
    let sizes = |least: usize| (least.ilog2()..=side.ilog2()).map(|level| 1 << level);
    sizes(2).rev().for_each(|size| analyse(&mut pixels, side, size));
    pixels[0] = 0.0;
    sizes(2).for_each(|size| synthesise(&mut pixels, side, size));
    sizes(16).rev().for_each(|size| analyse(&mut pixels, side, size));
    let blocks: Vec<f64> = pixels.chunks(side).take(8).flat_map(|row| &row[..8]).copied().collect();
    let threshold = median(&blocks);
    pack(blocks.iter().map(|value| *value > threshold))
}

/// The weight of Haar's filters.
const HAAR: f64 = std::f64::consts::FRAC_1_SQRT_2;

/// One level of Haar's transform of the upper left `size` x `size` of a square, first down the
/// columns, then along the rows: sums come first, differences after them.
fn analyse(square: &mut [f64], side: usize, size: usize) {
    let half = size / 2;
    let mut columns = vec![0.0; size * size];
    for at in 0..half * size {
        let (row, x) = (at / size, at % size);
        let (first, second) = (square[2 * row * side + x], square[(2 * row + 1) * side + x]);
        columns[at] = HAAR * second + HAAR * first;
        columns[half * size + at] = -HAAR * second + HAAR * first;
    }
    for (row, values) in columns.chunks_exact(size).enumerate() {
        for (x, pair) in values.chunks_exact(2).enumerate() {
            square[row * side + x] = HAAR * pair[1] + HAAR * pair[0];
            square[row * side + half + x] = -HAAR * pair[1] + HAAR * pair[0];
        }
    }
}

/// The way back.
fn synthesise(square: &mut [f64], side: usize, size: usize) {
    let half = size / 2;
    let mut rows = vec![0.0; size * size];
    for (row, values) in rows.chunks_exact_mut(size).enumerate() {
        for (x, pair) in values.chunks_exact_mut(2).enumerate() {
            let (sum, difference) = (square[row * side + x], square[row * side + half + x]);
            pair[0] = HAAR * sum + HAAR * difference;
            pair[1] = HAAR * sum + -HAAR * difference;
        }
    }
    for at in 0..half * size {
        let (row, x) = (at / size, at % size);
        let (sum, difference) = (rows[at], rows[half * size + at]);
        square[2 * row * side + x] = HAAR * sum + HAAR * difference;
        square[(2 * row + 1) * side + x] = HAAR * sum + -HAAR * difference;
    }
}
