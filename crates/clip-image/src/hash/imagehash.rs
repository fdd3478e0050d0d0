//! The bits of Python `imagehash`: grey first, then resize, and strict thresholds.

use super::{dct, haar, median, pack, pillow};
use crate::Rgb;

fn small(image: &Rgb, width: usize, height: usize) -> Vec<u8> {
    let size = (image.width as usize, image.height as usize);
    pillow::resize::<1>(&image.luma(), size, (width, height))
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

/// `imagehash.whash`: the square's side is the largest power of two within the picture, at least 8.
pub fn whash(image: &Rgb) -> u64 {
    let shorter = image.width.min(image.height).max(8);
    let side = 1 << shorter.ilog2();
    let blocks = haar(&small(image, side, side), side);
    let threshold = median(&blocks);
    pack(blocks.iter().map(|value| *value > threshold))
}
