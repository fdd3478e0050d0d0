//! One evaluation set, searched by picture.

use clip_image::Rgb;

use crate::align::{Likeness, Placement, Ready, align, search};
use crate::candidates::{CandidateOptions, Candidates};
use crate::fingerprint::Fingerprint;

/// How a picture was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The same bytes.
    Exact,
    /// The whole picture, changed.
    Near,
    /// Mirrored left to right.
    Mirrored,
    /// A part of the other.
    Crop,
    /// One of the two shows next to nothing.
    Flat,
}

/// An item that a picture looks like.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The item's number.
    pub item: u32,
    /// How alike, in [0, 1].
    pub score: f32,
    /// How it was recognised.
    pub kind: Kind,
    /// The parts of the score.
    pub likeness: Likeness,
    /// Where the picture lies in the item.
    pub placement: Placement,
}

/// Fingerprints of one evaluation set, ready to be searched.
pub struct SetIndex {
    items: Vec<Fingerprint>,
    ready: Vec<Ready>,
    candidates: Candidates,
}

impl SetIndex {
    /// Builds the search structures.
    pub fn new(items: Vec<Fingerprint>, options: &CandidateOptions) -> Self {
        let ready = items.iter().map(|item| Ready::new(&item.thumb)).collect();
        let candidates = Candidates::new(&items, options.clone());
        Self { items, ready, candidates }
    }

    /// The fingerprints.
    pub fn items(&self) -> &[Fingerprint] {
        &self.items
    }

    /// Every candidate, compared; the best first, one entry an item.
    pub fn search(&self, image: &Rgb, own: &Fingerprint) -> Vec<Found> {
        let mut found: Vec<Found> = self.compare(own, false);
        found.extend(self.compare(&Fingerprint::mirrored(image), true));
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
        let mut seen = std::collections::HashSet::new();
        found.retain(|f| seen.insert(f.item));
        found
    }

    fn compare(&self, query: &Fingerprint, mirrored: bool) -> Vec<Found> {
        let picture = Ready::new(&query.thumb);
        let mut found = Vec::new();
        for candidate in self.candidates.of(query) {
            let other = &self.ready[candidate.item as usize];
            let start = if let Some(start) = candidate.start {
                start
            } else {
                let (correlation, start) = search(other, &picture);
                if correlation < 0.5 {
                    continue;
                }
                start
            };
            let Some((likeness, placement)) = align(other, &picture, &[start]) else { continue };
            let flat = query.flat || self.items[candidate.item as usize].flat;
            let kind = match (flat, mirrored, likeness.covered) {
                (true, ..) => Kind::Flat,
                (_, true, _) => Kind::Mirrored,
                _ if is_crop(&placement) => Kind::Crop,
                _ => Kind::Near,
            };
            let score = likeness.score();
            found.push(Found { item: candidate.item, score, kind, likeness, placement });
        }
        found
    }
}

fn is_crop(placement: &Placement) -> bool {
    let [a, _, _, _, e, _] = placement.affine;
    !(0.8..1.25).contains(&(a * e))
}
