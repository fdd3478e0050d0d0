//! The bits of Python `imagehash`: grey first, then resize, and strict thresholds.

use super::{dct, median, pack};
use crate::{Filter, Rgb, resize};

/// Grey as three equal channels, so that the one resize serves.
fn small(image: &Rgb, width: u32, height: u32) -> Vec<u8> {
    let data = image.luma().into_iter().flat_map(|grey| [grey; 3]).collect();
    let grey = Rgb { data, ..*image };
    resize(&grey, width, height, Filter::Lanczos).data.into_iter().step_by(3).collect()
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
