//! Which items of an evaluation set are worth an aligned comparison with an image.

use std::collections::HashMap;

use clip_image::HammingIndex;

use super::fingerprint::Fingerprint;
use super::keypoints::Keypoint;
use super::vector::{Nearest, Vectors};
use crate::alignment::Transform;

/// How widely candidates are sought.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CandidateOptions {
    /// Greatest distance of two pHashes or dHashes, in bits of 64.
    pub hash_radius: u32,
    /// How many items with the nearest vectors.
    pub neighbours: usize,
    /// Least cosine of such a vector.
    pub neighbour_cosine: f32,
    /// Greatest distance of two local features, in bits of 64.
    pub local_radius: u32,
    /// Local features that must agree on one transform.
    pub local_votes: usize,
    /// Most candidates of each sort.
    pub limit: usize,
}

impl Default for CandidateOptions {
    fn default() -> Self {
        Self {
            hash_radius: 10,
            neighbours: 12,
            neighbour_cosine: 0.4,
            local_radius: 8,
            local_votes: 2,
            limit: 8,
        }
    }
}

/// Most items that local features are asked for.
const PLACED: usize = 8;

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

    /// Index and distance of the items whose pHash is near.
    pub fn phash(&self, hash: u64) -> Vec<(u32, u32)> {
        self.phash.query(hash)
    }

    /// The items of the vectors nearest to each image's.
    pub fn nearest(&self, queries: &[&[i16]]) -> Vec<Nearest> {
        self.vectors.nearest(queries, self.options.neighbours, self.options.neighbour_cosine)
    }

    /// The candidates of one image, ascending: those that resemble it as a whole, the nearest by
    /// vectors among them, and those on which local features agree, with their votes and where
    /// they put the image.
    pub fn of(
        &self,
        query: &Fingerprint,
        nearest: &[u32],
    ) -> (Vec<u32>, Vec<(u32, usize, Transform)>) {
        let mut near = nearest.to_vec();
        for (index, hash) in [(&self.phash, query.phash), (&self.dhash, query.dhash)] {
            // The hash of what shows nothing is chance.
            if query.flat {
                break;
            }
            let mut found = index.query(hash);
            found.retain(|(item, _)| !self.flat[*item as usize]);
            found.sort_by_key(|(item, distance)| (*distance, *item));
            near.extend(found.into_iter().take(self.options.limit).map(|(item, _)| item));
        }
        near.sort_unstable();
        near.dedup();
        (near, self.local(query))
    }

    /// Items on which several local features agree, with their votes and the transform they agree
    /// on.
    fn local(&self, query: &Fingerprint) -> Vec<(u32, usize, Transform)> {
        let aspect = query.thumb.height as f32 / query.thumb.width as f32;
        let mut votes: HashMap<(u32, i32, i32, i32), Vec<Vote>> = HashMap::new();
        for point in &query.keypoints {
            let near = self.local.query(point.bits);
            // What is everywhere distinguishes nothing: a patch of plain texture.
            if near.len() > 64 {
                continue;
            }
            for (at, _) in near {
                let (item, other) = &self.places[at as usize];
                let sx = other.size / point.size;
                let sy = sx * aspect / self.aspects[*item as usize];
                let transform =
                    Transform::scaled(sx, sy, other.x - sx * point.x, other.y - sy * point.y);
                // Where the middle comes to be, and how large: what agrees, agrees on these.
                let middle = |scale: f32, shift: f32| ((0.5 * scale + shift) / 0.12).floor() as i32;
                let [_, _, tx, _, _, ty] = transform.affine;
                let size = (sx.ln() / 0.35).floor() as i32;
                let key = (*item, size, middle(sx, tx), middle(sy, ty));
                let pair = [point.x, point.y, other.x, other.y];
                votes.entry(key).or_default().push(Vote { transform, pair });
            }
        }
        let mut best: HashMap<u32, (usize, Transform)> = HashMap::new();
        for ((item, size, x, y), own) in &votes {
            // A cluster may span the edges of cells.
            let mut all = Vec::new();
            for ds in -1..=1 {
                for dx in -1..=1 {
                    for dy in -1..=1 {
                        all.extend(
                            votes.get(&(*item, size + ds, x + dx, y + dy)).into_iter().flatten(),
                        );
                    }
                }
            }
            if all.len() < self.options.local_votes || own.is_empty() {
                continue;
            }
            let pairs: Vec<[f32; 4]> = all.iter().map(|vote| vote.pair).collect();
            let transform = median(&all).fitted(&pairs);
            let old = best.get(item).map_or(0, |(count, _)| *count);
            if all.len() > old || (all.len() == old && transform.affine < best[item].1.affine) {
                best.insert(*item, (all.len(), transform));
            }
        }
        let mut found: Vec<_> = best.into_iter().map(|(i, (n, p))| (i, n, p)).collect();
        found.sort_by_key(|(item, count, _)| (std::cmp::Reverse(*count), *item));
        found.truncate(PLACED);
        found
    }
}

/// Two local features that look alike: where they put the image, and their centres in it and in the
/// item.
struct Vote {
    transform: Transform,
    pair: [f32; 4],
}

/// The median of each number.
fn median(votes: &[&Vote]) -> Transform {
    let of = |i: usize| {
        let mut values: Vec<f32> = votes.iter().map(|vote| vote.transform.affine[i]).collect();
        values.sort_by(f32::total_cmp);
        values[values.len() / 2]
    };
    Transform { affine: std::array::from_fn(of) }
}
