//! Which items of an evaluation set are worth an aligned comparison with an image.

use clip_image::HammingIndex;

use super::consensus::{Pair, agreed};
use super::fingerprint::{Fingerprint, Query, WORKING};
use super::keypoints::{Keypoint, Variant};
use super::orientation::Orientation;
use super::vector::{Nearest, Vectors, Wanted};
use crate::alignment::Transform;

/// How widely candidates are sought.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CandidateOptions {
    /// Longer side in pixels of the image that is looked for.
    pub working: u32,
    /// Greatest distance of two pHashes or dHashes, in bits of 64.
    pub hash_radius: u32,
    /// How many items with the nearest vectors.
    pub neighbours: usize,
    /// Least cosine of such a vector.
    pub neighbour_cosine: f32,
    /// How many items with the nearest vectors in each orientation but as it is and mirrored.
    pub turned_neighbours: usize,
    /// Least cosine of such a vector.
    pub turned_cosine: f32,
    /// Greatest distance of two local features, in bits of 64.
    pub local_radius: u32,
    /// Local features that must agree on one transform.
    pub local_votes: usize,
    /// Greatest distance of two local features of which one alone proposes a transform.
    pub single_radius: u32,
    /// Most items that are proposed so, the nearest, where no several features agree.
    pub singles: usize,
    /// Whether local features are sought with inverted colours too.
    pub local_inverted: bool,
    /// Most candidates of each sort.
    pub limit: usize,
}

impl Default for CandidateOptions {
    fn default() -> Self {
        Self {
            working: WORKING,
            hash_radius: 10,
            neighbours: 12,
            neighbour_cosine: 0.4,
            turned_neighbours: 3,
            turned_cosine: 0.75,
            local_radius: 8,
            local_votes: 2,
            single_radius: 6,
            singles: 1,
            local_inverted: false,
            limit: 8,
        }
    }
}

impl CandidateOptions {
    /// [`Self::thorough`], or the default.
    pub fn of_mode(thorough: bool) -> Self {
        if thorough { Self::thorough() } else { Self::default() }
    }

    /// More is found of images inside larger ones, for some three times the time.
    pub fn thorough() -> Self {
        Self {
            working: 2 * WORKING,
            local_radius: 9,
            local_inverted: true,
            single_radius: 8,
            singles: 4,
            limit: 16,
            ..Self::default()
        }
    }
}

/// Most features that may look like one: what is everywhere distinguishes nothing, as a patch of
/// plain texture.
const COMMON: usize = 64;

/// An item that shares local features with an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub item: u32,
    /// How many features agree.
    pub votes: usize,
    pub variant: Variant,
    /// Where they put the image in the item.
    pub transform: Transform,
}

/// The search structures over one set's fingerprints.
pub(crate) struct Candidates {
    options: CandidateOptions,
    phash: HammingIndex,
    dhash: HammingIndex,
    vectors: Vectors,
    flat: Vec<bool>,
    local: HammingIndex,
    places: Vec<(u32, Keypoint)>,
    aspects: Vec<f32>,
}

impl Candidates {
    pub fn new(items: &[Fingerprint], options: CandidateOptions) -> Self {
        let hashes = |f: fn(&Fingerprint) -> u64| items.iter().map(f).collect::<Vec<_>>();
        let places: Vec<(u32, Keypoint)> = items
            .iter()
            .enumerate()
            .flat_map(|(i, item)| item.keypoints.iter().map(move |k| (i as u32, *k)))
            .collect();
        let bits = places.iter().map(|(_, k)| k.bits).collect();
        Self {
            phash: HammingIndex::new(hashes(|f| f.phash), options.hash_radius),
            dhash: HammingIndex::new(hashes(|f| f.dhash), options.hash_radius),
            vectors: Vectors::new(items.iter().map(|f| f.vector.as_slice())),
            flat: items.iter().map(|f| f.flat).collect(),
            local: HammingIndex::new(bits, options.local_radius),
            aspects: items.iter().map(|f| f.thumb.height as f32 / f.thumb.width as f32).collect(),
            places,
            options,
        }
    }

    pub fn options(&self) -> &CandidateOptions {
        &self.options
    }

    /// Index and distance of the items whose pHash is near.
    pub fn phash(&self, hash: u64) -> Vec<(u32, u32)> {
        self.phash.query(hash)
    }

    /// The items of the vectors nearest to each image's, in every orientation.
    pub fn nearest(&self, queries: &[&[i16]]) -> Vec<Nearest> {
        let CandidateOptions { neighbours, neighbour_cosine, .. } = self.options;
        let CandidateOptions { turned_neighbours, turned_cosine, .. } = self.options;
        let upright = Wanted { most: neighbours, least: neighbour_cosine };
        let turned = Wanted { most: turned_neighbours, least: turned_cosine };
        self.vectors.nearest(queries, upright, turned)
    }

    /// Items that resemble an image as a whole in one orientation, ascending; the nearest by
    /// vectors among them.
    pub fn alike(&self, query: &Query, turn: Orientation, nearest: &[u32]) -> Vec<u32> {
        let mut near = nearest.to_vec();
        let own = (query.print.phash, query.print.dhash);
        let hashes = match turn {
            // The hash of what shows nothing is chance.
            _ if query.print.flat => None,
            Orientation::PLAIN => Some(own),
            Orientation::MIRRORED => Some(query.mirrored),
            _ => None,
        };
        if let Some((phash, dhash)) = hashes {
            for (index, hash) in [(&self.phash, phash), (&self.dhash, dhash)] {
                let mut found = index.query(hash);
                found.retain(|(item, _)| !self.flat[*item as usize]);
                found.sort_by_key(|(item, distance)| (*distance, *item));
                near.extend(found.into_iter().take(self.options.limit).map(|(item, _)| item));
            }
        }
        near.sort_unstable();
        near.dedup();
        near
    }

    /// Items on which several local features agree, those on which most do first; where there is
    /// none, those with the one nearest feature: a narrow crop of little detail has no more.
    pub fn placed(&self, query: &Fingerprint) -> Vec<Placed> {
        let aspect = query.thumb.height as f32 / query.thumb.width as f32;
        let variants = &Variant::ALL[..if self.options.local_inverted { 4 } else { 2 }];
        let (mut found, mut single) = (Vec::new(), Vec::new());
        for variant in variants.iter().copied() {
            let mut pairs: Vec<(u32, Pair)> = Vec::new();
            for point in &query.keypoints {
                let (bits, angle) = variant.of(point);
                let near = self.local.query(bits);
                if near.len() > COMMON {
                    continue;
                }
                pairs.extend(near.into_iter().map(|(at, distance)| {
                    let (item, other) = &self.places[at as usize];
                    let theirs = (other, self.aspects[*item as usize]);
                    (*item, Pair::new((point, angle, aspect), theirs, distance))
                }));
            }
            pairs.sort_by_key(|(item, _)| *item);
            for own in pairs.chunk_by_mut(|a, b| a.0 == b.0) {
                let item = own[0].0;
                let aspects = [aspect, self.aspects[item as usize]];
                let placed = |(votes, transform)| Placed { item, votes, variant, transform };
                let several = agreed(own, variant, aspects, self.options.local_votes);
                found.extend(several.map(placed));
                let nearest = own.iter().map(|(_, pair)| pair.distance()).min();
                if let Some(distance) = nearest.filter(|bits| *bits <= self.options.single_radius)
                    && found.is_empty()
                {
                    let one = agreed(own, variant, aspects, 1).map(placed);
                    single.extend(one.map(|one| (distance, one)));
                }
            }
        }
        if found.is_empty() {
            single.sort_by_key(|(distance, placed): &(u32, Placed)| (*distance, placed.item));
            return single.into_iter().map(|(_, one)| one).take(self.options.singles).collect();
        }
        found.sort_by_key(|placed: &Placed| (std::cmp::Reverse(placed.votes), placed.item));
        found.truncate(self.options.limit);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_image::Rgb;

    #[test]
    fn one_near_feature_proposes_where_no_several_agree() {
        let image = Rgb::filled(96, 64, [90, 120, 60]);
        let print = |bits: u64| {
            let point = Keypoint { x: 0.4, y: 0.5, size: 0.2, angle: 0.3, bits };
            Fingerprint { keypoints: vec![point], ..Fingerprint::of(&image) }
        };
        let bits = 0x0f0f_3355_a5a5_1234;
        let known = Candidates::new(&[print(!bits), print(bits)], CandidateOptions::default());
        let placed = |bits| known.placed(&print(bits));
        let found = placed(bits ^ 0b11_1111);
        assert_eq!((found.len(), found[0].item, found[0].votes), (1, 1, 1));
        for (value, wanted) in found[0].transform.affine.into_iter().zip([1.0, 0.0, 0.0, 0.0, 1.0])
        {
            assert!((value - wanted).abs() < 1e-4, "{found:?}");
        }
        assert!(placed(bits ^ 0b111_1111).is_empty(), "seven bits are too many for one");
    }
}
