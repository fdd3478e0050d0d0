//! Everything that is compared of one image.

use clip_image::hash::Hashes;
use clip_image::{Rgb, crop};

use super::keypoints::{Keypoint, keypoints};
use super::panels::panels;
use super::vector::vector;
use super::words::without_words;
use crate::alignment::{SIDE, Transform, grid};
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

/// An image of the corpus, ready to be searched for.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What is compared of it.
    pub print: Fingerprint,
    /// pHash and dHash of its mirror image.
    pub mirrored: (u64, u64),
    /// The image itself, small: parts of it are looked at as they are found.
    pub image: Rgb,
    /// The images that it shows beside others, or below words.
    pub(crate) panels: Vec<Panel>,
}

/// An image that another shows: on a ground of one colour, or below words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Panel {
    pub query: Query,
    /// Where the other image is in it.
    pub place: Transform,
}

impl Panel {
    /// Whether it is all that the other shows, but for words over it.
    pub fn is_whole(&self) -> bool {
        self.place == Transform::WHOLE
    }
}

impl Query {
    /// Computes all of it, from at most `working` pixels on the longer side.
    pub fn of(image: &Rgb, working: u32) -> Self {
        let panel = |[left, top, width, height]: [u32; 4]| {
            let query = Self::without_panels(&crop(image, left, top, width, height), working);
            let [x, y] = [(image.width, left, width), (image.height, top, height)]
                .map(|(whole, from, side)| [whole, from].map(|value| value as f32 / side as f32));
            Panel { query, place: Transform::scaled(x[0], y[0], -x[1], -y[1]) }
        };
        let whole = Self::without_panels(image, working);
        let below = without_words(&whole.image).map(|image| Panel {
            query: Self::without_panels(&image, working),
            place: Transform::WHOLE,
        });
        let panels = panels(image).into_iter().map(panel).chain(below);
        Self { panels: panels.filter(|panel| !panel.query.print.flat).collect(), ..whole }
    }

    fn without_panels(image: &Rgb, working: u32) -> Self {
        let image = shrink(image, working);
        let [plain, mirrored] = Hashes::both_ways(&image);
        let print = Fingerprint::of_parts(&image, plain);
        let mirrored = (mirrored.phash, mirrored.dhash);
        Self { print, mirrored, image, panels: Vec::new() }
    }

    /// The same with the pHash and dHash of the whole image where they are known.
    pub fn with_hashes(image: &Rgb, working: u32, (phash, dhash): (u64, u64)) -> Self {
        let mut query = Self::of(image, working);
        (query.print.phash, query.print.dhash) = (phash, dhash);
        query
    }
}

impl Fingerprint {
    /// Computes all of it.
    pub fn of(image: &Rgb) -> Self {
        Self::of_parts(&shrink(image, WORKING), Hashes::of(image))
    }

    fn of_parts(small: &Rgb, hashes: Hashes) -> Self {
        let thumb = thumbnail(small);
        let luma = Plane::luma(&thumb);
        Self {
            phash: hashes.phash,
            dhash: hashes.dhash,
            flat: is_flat(&luma),
            vector: vector(&thumb),
            keypoints: keypoints(small),
            coarse: grid(&luma),
            thumb,
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
