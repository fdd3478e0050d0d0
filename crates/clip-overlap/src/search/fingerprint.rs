//! Everything that is compared of one image.

use clip_image::hash::Hashes;
use clip_image::{Rgb, flip_horizontal};

use super::keypoints::{Keypoint, keypoints_both_ways};
use super::vector::{mirrored, vector};
use crate::alignment::{SIDE, grid};
use crate::pyramid::{Plane, shrink, thumbnail};

/// Longer side in pixels of what everything is computed from.
pub(crate) const WORKING: u32 = 256;

/// What is kept of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Fingerprint {
    /// imagededup's pHash.
    pub phash: u64,
    /// imagededup's dHash.
    pub dhash: u64,
    /// Whether it shows next to nothing: one colour, near black, or a few specks on a ground.
    pub flat: bool,
    /// Its lowest frequencies.
    pub vector: Vec<i16>,
    /// Its local features.
    pub keypoints: Vec<Keypoint>,
    /// The small image that is aligned.
    pub thumb: Rgb,
    /// What a blur takes away of its luma, on 16 x 16 points, around 128.
    pub coarse: [u8; SIDE * SIDE],
}

/// An image of the corpus, ready to be searched for: as it is, and mirrored.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// As it is.
    pub plain: Fingerprint,
    /// Mirrored left to right.
    pub mirrored: Fingerprint,
}

impl Query {
    /// Computes both.
    pub fn of(image: &Rgb) -> Self {
        let image = shrink(image, WORKING);
        let thumb = thumbnail(&image);
        let [plain, mirrored] = Hashes::both_ways(&image);
        let [own, others] = keypoints_both_ways(&image);
        let plain = Fingerprint::of_parts(thumb, plain, own);
        let mirrored = plain.mirrored(mirrored, others);
        Self { plain, mirrored }
    }

    /// Computes both, with the pHash and dHash of the whole image where they are known.
    pub fn with_hashes(image: &Rgb, phash: u64, dhash: u64) -> Self {
        let mut query = Self::of(image);
        (query.plain.phash, query.plain.dhash) = (phash, dhash);
        query
    }
}

impl Fingerprint {
    /// Computes all of it.
    pub fn of(image: &Rgb) -> Self {
        let small = shrink(image, WORKING);
        let [keypoints, _] = keypoints_both_ways(&small);
        Self::of_parts(thumbnail(&small), Hashes::of(image), keypoints)
    }

    fn of_parts(thumb: Rgb, hashes: Hashes, keypoints: Vec<Keypoint>) -> Self {
        let luma = Plane::luma(&thumb);
        Self {
            phash: hashes.phash,
            dhash: hashes.dhash,
            flat: is_flat(&luma),
            vector: vector(&thumb),
            keypoints,
            coarse: grid(&luma),
            thumb,
        }
    }

    /// That of the mirror image, of which only hashes and local features have to be computed.
    fn mirrored(&self, hashes: Hashes, keypoints: Vec<Keypoint>) -> Self {
        let mut coarse = self.coarse;
        coarse.chunks_exact_mut(SIDE).for_each(<[u8]>::reverse);
        Self {
            phash: hashes.phash,
            dhash: hashes.dhash,
            flat: self.flat,
            vector: mirrored(&self.vector),
            keypoints,
            coarse,
            thumb: flip_horizontal(&self.thumb),
        }
    }
}

/// One colour, near black, or nearly all of one shade: any two such images are alike, and prove
/// nothing (the paper's Kinetics frames, section 5).
fn is_flat(luma: &Plane) -> bool {
    let n = luma.data.len() as f32;
    let mean = luma.data.iter().sum::<f32>() / n;
    let variance = luma.data.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / n;
    variance < 9.0 || (mean < 12.0 && variance < 36.0) || entropy(luma) < 0.2
}

/// Bits a pixel of the histogram over 16 shades.
fn entropy(luma: &Plane) -> f32 {
    let mut counts = [0f32; 16];
    for value in &luma.data {
        counts[(value / 16.0).clamp(0.0, 15.0) as usize] += 1.0;
    }
    let n = luma.data.len() as f32;
    counts.iter().filter(|&&c| c > 0.0).map(|c| -(c / n) * (c / n).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_frames_and_blank_pages_are_flat() {
        assert!(Fingerprint::of(&Rgb::filled(64, 48, [0, 0, 0])).flat);
        assert!(Fingerprint::of(&Rgb::filled(64, 48, [255, 255, 255])).flat);
        let data = (0..64 * 64 * 3).map(|i| (i * 7 % 200) as u8).collect();
        assert!(!Fingerprint::of(&Rgb { width: 64, height: 64, data }).flat);
    }
}
