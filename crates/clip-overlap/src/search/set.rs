//! One evaluation set, searched by image.

use super::candidates::{CandidateOptions, Candidates};
use super::fingerprint::{Fingerprint, Query};
use super::vector::Nearest;
use crate::alignment::{Probe, Target, Transform, align, refine_near};
use crate::hit_kind::HitKind;
use crate::pyramid::ImagePyramid;
use crate::score::{ScoreParts, parts, score};

/// Least agreement on 16 x 16 points of a pair that is aligned. Of the pairs that end with a score
/// of 0.8, one in a thousand has less; of all candidates, nine in ten.
const GATE: f32 = 0.5;
/// Most pairs that are aligned for one image and orientation, with and without a start from local
/// features.
const ALIGNED: usize = 4;

/// By how much less than the best item of a set another may resemble an image.
const RUNNER_UP: f32 = 0.02;

/// An item that an image looks like.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The item's number.
    pub item: u32,
    /// How alike, in [0, 1].
    pub score: f32,
    /// How it was recognised.
    pub kind: HitKind,
    /// The parts of the score.
    pub parts: ScoreParts,
    /// Where the image is in the item.
    pub transform: Transform,
}

/// Fingerprints of one evaluation set, ready to be searched.
pub struct SetIndex {
    items: Vec<Fingerprint>,
    candidates: Candidates,
}

impl SetIndex {
    /// Builds the search structures.
    pub fn new(items: Vec<Fingerprint>, options: &CandidateOptions) -> Self {
        let candidates = Candidates::new(&items, options.clone());
        Self { items, candidates }
    }

    /// The fingerprints.
    pub fn items(&self) -> &[Fingerprint] {
        &self.items
    }

    /// Items whose pHash is within `radius` bits, for images that are not there to be compared.
    pub fn by_hash(&self, phash: u64, radius: u32) -> Vec<(u32, u32)> {
        let mut near = self.candidates.phash(phash);
        near.retain(|&(item, distance)| distance <= radius && !self.items[item as usize].flat);
        near
    }

    /// What looks nearest to each image at first sight, to be handed to [`Self::search`]. Several
    /// images at once take less time than one after the other.
    pub fn nearest(&self, queries: &[&Query]) -> Vec<Nearest> {
        let vectors: Vec<&[i16]> = queries.iter().map(|q| q.plain.vector.as_slice()).collect();
        self.candidates.nearest(&vectors)
    }

    /// Every candidate, compared; the best first, one entry an item. `nearest` are the items
    /// nearest to the image and to its mirror image, `extra` are items to compare as well.
    pub fn search(&self, query: &Query, [near, turned]: &Nearest, extra: &[u32]) -> Vec<Found> {
        let mut found: Vec<Found> = self.compare(&query.plain, false, near, extra);
        found.extend(self.compare(&query.mirrored, true, turned, extra));
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
        let mut seen = std::collections::HashSet::new();
        // An image is one image's copy: others that it resembles less are its look-alikes, as of
        // one sitting, unless they are copies of each other.
        let least = found.first().map_or(0.0, |best| best.score - RUNNER_UP);
        found.retain(|f| f.score >= least && seen.insert(f.item));
        found
    }

    fn compare(
        &self,
        query: &Fingerprint,
        mirrored: bool,
        nearest: &[u32],
        extra: &[u32],
    ) -> Vec<Found> {
        let probe = Probe::new(&query.coarse);
        let (mut whole, mut local) = (Vec::new(), Vec::new());
        let (near, placed) = self.candidates.of(query, nearest);
        for item in near.into_iter().chain(extra.iter().copied()) {
            let (agreement, start) = probe.search(&Target::new(&self.items[item as usize].coarse));
            if agreement >= GATE {
                whole.push((agreement, item, start));
            }
        }
        for (item, votes, start) in placed {
            local.push((votes as f32, item, start));
        }
        if whole.is_empty() && local.is_empty() {
            return Vec::new();
        }
        let image = ImagePyramid::new(&query.thumb);
        let compared = |item: u32, align: Align, start: Transform| {
            let own = &self.items[item as usize];
            let other = ImagePyramid::new(&own.thumb);
            let transform = align(&other, &image, start)?;
            let parts = parts(&other, &image, &transform)?;
            let kind = match (query.flat || own.flat, mirrored) {
                (true, _) => HitKind::Flat,
                (_, true) => HitKind::Mirrored,
                _ if !(0.8..1.25).contains(&transform.area()) => HitKind::Crop,
                _ => HitKind::Near,
            };
            Some(Found { item, score: score(&parts), kind, parts, transform })
        };
        let mut found = Vec::new();
        for (item, start) in best(whole, ALIGNED) {
            found.extend(compared(item, align, start));
        }
        for (item, start) in best(local, 2 * ALIGNED) {
            found.extend(compared(item, refine_near, start));
        }
        found
    }
}

type Align = fn(&ImagePyramid, &ImagePyramid, Transform) -> Option<Transform>;

/// Item and start of the `most` that are worth most.
fn best(mut starts: Vec<(f32, u32, Transform)>, most: usize) -> Vec<(u32, Transform)> {
    starts.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    starts.dedup_by_key(|start| start.1);
    starts.into_iter().take(most).map(|(_, item, start)| (item, start)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_image::{Filter, Rgb, crop, resize};

    /// Blotches of which no two images have the same.
    fn image(seed: u64) -> Rgb {
        let mut data = vec![0; 12 * 8 * 3];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut data);
        resize(&Rgb { width: 12, height: 8, data }, 480, 320, Filter::Bicubic)
    }

    fn search(set: &SetIndex, image: &Rgb) -> Vec<Found> {
        let query = Query::of(image);
        set.search(&query, &set.nearest(&[&query])[0], &[])
    }

    /// With a border of eight hundredths, and turned by five degrees within black corners.
    fn filled_up(image: &Rgb) -> [Rgb; 2] {
        let (w, h) = (image.width, image.height);
        let mut framed = Rgb::filled(w + 52, h + 52, [0; 3]);
        let mut turned = Rgb::filled(w, h, [0; 3]);
        let (sin, cos) = 5f32.to_radians().sin_cos();
        for (x, y) in (0..h).flat_map(|y| (0..w).map(move |x| (x, y))) {
            let pixel = |x: u32, y: u32| &image.data[3 * (y * w + x) as usize..][..3];
            let at = 3 * ((y + 26) * framed.width + x + 26) as usize;
            framed.data[at..at + 3].copy_from_slice(pixel(x, y));
            let (u, v) = (x as f32 - w as f32 / 2.0, y as f32 - h as f32 / 2.0);
            let (u, v) = (cos * u - sin * v + w as f32 / 2.0, sin * u + cos * v + h as f32 / 2.0);
            if (0.0..w as f32).contains(&u) && (0.0..h as f32).contains(&v) {
                let at = 3 * (y * w + x) as usize;
                turned.data[at..at + 3].copy_from_slice(pixel(u as u32, v as u32));
            }
        }
        [framed, turned]
    }

    #[test]
    fn what_a_copy_was_filled_up_with_does_not_count() {
        let images: Vec<Rgb> = (0..8).map(image).collect();
        let items = images.iter().map(Fingerprint::of).collect();
        let set = SetIndex::new(items, &CandidateOptions::default());
        for (at, own) in images.iter().enumerate() {
            for copy in filled_up(own) {
                let found = search(&set, &copy);
                assert_eq!(found.first().map(|f| f.item), Some(at as u32));
                assert!(found[0].score > 0.9 && found.len() == 1, "{found:?}");
            }
        }
    }

    #[test]
    fn a_narrow_crop_is_found_where_it_was_cut() {
        let images: Vec<Rgb> = (0..8).map(image).collect();
        let items = images.iter().map(Fingerprint::of).collect();
        let set = SetIndex::new(items, &CandidateOptions::default());
        let part = crop(&images[5], 144, 8, 192, 312);
        let found = search(&set, &part);
        assert_eq!((found[0].item, found[0].kind), (5, HitKind::Crop));
        assert!(found[0].score > 0.9, "{found:?}");
        let wanted = [0.4, 0.0, 0.3, 0.0, 0.975, 0.025];
        for (value, wanted) in found[0].transform.affine.into_iter().zip(wanted) {
            assert!((value - wanted).abs() < 0.01, "{found:?}");
        }
        assert!(search(&set, &image(9)).iter().all(|f| f.score < 0.6));
    }
}
