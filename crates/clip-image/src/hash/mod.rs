//! Perceptual hashes, bit for bit those of Python imagededup 0.3.2 (and imagehash 4.3 in its own module).
//!
//! The first bit of a hash is the highest of the `u64`, so that [`hex`] is what the Python tools print.

mod dct;
pub mod imagehash;

use crate::{Filter, Rgb, resize};

/// 16 lower-case hex digits.
pub fn hex(hash: u64) -> String {
    format!("{hash:016x}")
}

/// Packs 64 decisions, the first as the highest bit.
fn pack(bits: impl Iterator<Item = bool>) -> u64 {
    bits.fold(0, |hash, bit| (hash << 1) | u64::from(bit))
}

fn small(image: &Rgb, width: u32, height: u32) -> Vec<u8> {
    resize(image, width, height, Filter::Lanczos).luma()
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

/// Signs of the 8 x 8 lowest DCT coefficients of the 32 x 32 picture against the median of all but the first.
pub fn phash(image: &Rgb) -> u64 {
    let low = dct::low_frequencies(&small(image, 32, 32));
    let threshold = median(&low[1..]);
    pack(low.iter().map(|value| *value >= threshold))
}

/// Whether each pixel of the 9 x 8 picture is darker than its right neighbour.
pub fn dhash(image: &Rgb) -> u64 {
    let pixels = small(image, 9, 8);
    pack(pixels.chunks_exact(9).flat_map(|row| row.windows(2).map(|pair| pair[1] > pair[0])))
}

/// Whether each pixel of the 8 x 8 picture is at least as light as the mean.
pub fn ahash(image: &Rgb) -> u64 {
    let pixels = small(image, 8, 8);
    let sum: u32 = pixels.iter().map(|&p| u32::from(p)).sum();
    pack(pixels.iter().map(|&p| u32::from(p) * 64 >= sum))
}

/// Signs of the 8 x 8 Haar approximation (level 5) of the 256 x 256 picture against their median.
pub fn whash(image: &Rgb) -> u64 {
    let pixels = small(image, 256, 256);
    // The approximation of a Haar transform is the block sum, up to a factor that a median ignores.
    let block = |index: usize| {
        let (top, left) = (index / 8 * 32, index % 8 * 32);
        let rows = (top..top + 32).map(|y| &pixels[y * 256 + left..][..32]);
        rows.flatten().map(|&p| f64::from(p)).sum::<f64>()
    };
    let blocks: Vec<f64> = (0..64).map(block).collect();
    let threshold = median(&blocks);
    pack(blocks.iter().map(|value| *value >= threshold))
}

/// Whether a picture shows next to nothing: its hash is chance, and must not join it to others.
///
/// Black frames and blank placeholders would otherwise form one giant cluster (paper, section 5).
pub fn is_flat(image: &Rgb) -> bool {
    let pixels = small(image, 16, 16);
    let mean = pixels.iter().map(|&p| f64::from(p)).sum::<f64>() / 256.0;
    let variance = pixels.iter().map(|&p| (f64::from(p) - mean).powi(2)).sum::<f64>() / 256.0;
    variance < 9.0
}

#[cfg(test)]
mod tests;
