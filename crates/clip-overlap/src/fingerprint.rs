//! Everything that is compared of one picture.

use clip_image::{Rgb, flip_horizontal, hash};

use crate::keypoints::{Keypoint, keypoints};
use crate::thumb::thumbnail;
use crate::vector::vector;

/// What is kept of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Fingerprint {
    /// imagededup's pHash.
    pub phash: u64,
    /// imagededup's dHash.
    pub dhash: u64,
    /// Whether it shows next to nothing.
    pub flat: bool,
    /// Its lowest frequencies.
    pub vector: Vec<i16>,
    /// Its local features.
    pub keypoints: Vec<Keypoint>,
    /// The small picture that is aligned.
    pub thumb: Rgb,
}

impl Fingerprint {
    /// Computes all of it.
    pub fn of(image: &Rgb) -> Self {
        Self::with_hashes(image, hash::phash(image), hash::dhash(image))
    }

    /// Computes the rest, where the hashes are known.
    pub fn with_hashes(image: &Rgb, phash: u64, dhash: u64) -> Self {
        let thumb = thumbnail(image);
        Self {
            phash,
            dhash,
            flat: hash::is_flat(image),
            vector: vector(&thumb),
            keypoints: keypoints(image),
            thumb,
        }
    }

    /// The fingerprint of the mirrored picture.
    pub fn mirrored(image: &Rgb) -> Self {
        Self::of(&flip_horizontal(image))
    }
}
