//! Perceptual hashes, bit for bit those of Python imagededup 0.3.3 (and imagehash 4.3, pdqhash 0.2
//! in modules of their own) over Pillow 13.
//!
//! The first bit of a hash is the highest of the `u64`, so that [`hex`] is what the Python tools
//! print. An image decoded at a fraction ([`FAST_SIDE`]) gives the same hash up to a bit or two,
//! several times faster.

mod algorithm;
mod dct;
pub mod imagehash;
pub mod pdq;

pub use algorithm::Algorithm;

use crate::Rgb;
use crate::kernel::Kernel;
use crate::resample::{Pixels, resample};

/// Shorter side that a JPEG should keep when it is decoded at a fraction only to be hashed: twice
/// what pHash looks at.
pub const FAST_SIDE: u32 = 64;

/// 16 lower-case hex digits.
pub fn hex(hash: u64) -> String {
    format!("{hash:016x}")
}

/// Packs 64 decisions, the first as the highest bit.
fn pack(bits: impl Iterator<Item = bool>) -> u64 {
    bits.fold(0, |hash, bit| (hash << 1) | u64::from(bit))
}

/// imagededup's small image: resized in colour, then made grey.
fn small(image: &Rgb, width: usize, height: usize) -> Vec<u8> {
    let size = (image.width as usize, image.height as usize);
    let data = resample(Pixels::packed(&image.data, 3, size), (width, height), Kernel::Lanczos);
    Rgb { width: width as u32, height: height as u32, data }.luma()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

/// What a build stores of every image, for less than its parts one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hashes {
    /// See [`phash`].
    pub phash: u64,
    /// See [`dhash`].
    pub dhash: u64,
    /// See [`is_flat`].
    pub flat: bool,
}

impl Hashes {
    /// Hashes an image.
    pub fn of(image: &Rgb) -> Self {
        Self::of_small(&small(image, 32, 32), &small(image, 9, 8))
    }

    /// Hashes an image as it is, and mirrored left to right, for hardly more than one of both.
    pub fn both_ways(image: &Rgb) -> [Self; 2] {
        let (mut square, mut gradient) = (small(image, 32, 32), small(image, 9, 8));
        let plain = Self::of_small(&square, &gradient);
        square.chunks_exact_mut(32).for_each(<[u8]>::reverse);
        gradient.chunks_exact_mut(9).for_each(<[u8]>::reverse);
        [plain, Self::of_small(&square, &gradient)]
    }

    fn of_small(square: &[u8], gradient: &[u8]) -> Self {
        Self { phash: phash_of(square), dhash: dhash_of(gradient), flat: flat(square) }
    }
}

/// Signs of the 8 x 8 lowest DCT coefficients of the 32 x 32 image against the median of all but
/// the first.
pub fn phash(image: &Rgb) -> u64 {
    phash_of(&small(image, 32, 32))
}

fn phash_of(pixels: &[u8]) -> u64 {
    let low = dct::low_frequencies(pixels);
    let threshold = median(&low[1..]);
    pack(low.iter().map(|value| *value >= threshold))
}

/// Whether each pixel of the 9 x 8 image is darker than its right neighbour.
pub fn dhash(image: &Rgb) -> u64 {
    dhash_of(&small(image, 9, 8))
}

fn dhash_of(pixels: &[u8]) -> u64 {
    pack(pixels.chunks_exact(9).flat_map(|row| row.windows(2).map(|pair| pair[1] > pair[0])))
}

/// Whether each pixel of the 8 x 8 image is at least as light as the mean.
pub fn ahash(image: &Rgb) -> u64 {
    let pixels = small(image, 8, 8);
    let sum: u32 = pixels.iter().map(|&p| u32::from(p)).sum();
    pack(pixels.iter().map(|&p| u32::from(p) * 64 >= sum))
}

/// Signs of the 8 x 8 Haar approximation (level 5) of the 256 x 256 image against their median.
pub fn whash(image: &Rgb) -> u64 {
    let blocks = haar(&small(image, 256, 256), 256);
    let threshold = median(&blocks);
    pack(blocks.iter().map(|value| *value >= threshold))
}

/// The 8 x 8 approximation of a square image's Haar transform: block sums, up to a factor that a
/// median ignores.
fn haar(pixels: &[u8], side: usize) -> Vec<f64> {
    let step = side / 8;
    let block = |index: usize| {
        let (top, left) = (index / 8 * step, index % 8 * step);
        let rows = (top..top + step).map(|y| &pixels[y * side + left..][..step]);
        rows.flatten().map(|&p| u64::from(p)).sum::<u64>() as f64
    };
    (0..64).map(block).collect()
}

/// Whether an image shows next to nothing: its hash is chance, and must not join it to others.
///
/// Black frames and blank placeholders would otherwise form one giant cluster (paper, section 5).
pub fn is_flat(image: &Rgb) -> bool {
    flat(&small(image, 32, 32))
}

/// A standard deviation below 3 of 256 levels: less than what JPEG leaves of a plain wall.
fn flat(pixels: &[u8]) -> bool {
    let count = pixels.len() as f64;
    let mean = pixels.iter().map(|&p| f64::from(p)).sum::<f64>() / count;
    let variance = pixels.iter().map(|&p| (f64::from(p) - mean).powi(2)).sum::<f64>() / count;
    variance < 9.0
}

#[cfg(test)]
mod tests;
