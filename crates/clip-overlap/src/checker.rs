//! Holding images against several evaluation sets, one at a time.

use clip_image::Rgb;

use crate::decisions::{SetDecision, Verdict};
use crate::fingerprint::Query;
use crate::index::EvalIndex;
use crate::set::Kind;

/// The evaluation item that an image is a copy of.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Name of the evaluation set.
    pub set: String,
    /// Key of the item.
    pub key: String,
    /// How alike, in [0, 1]; 1 for equal bytes.
    pub score: f32,
    /// How it was recognised.
    pub kind: Kind,
}

/// Evaluation sets, ready to be searched, and what is decided of each.
pub struct Checker {
    sets: Vec<(EvalIndex, SetDecision)>,
}

impl Checker {
    /// Of these sets.
    pub fn new(sets: Vec<(EvalIndex, SetDecision)>) -> Self {
        Self { sets }
    }

    /// Every item that the image counts as a copy of, and those that it resembles though one of
    /// both shows next to nothing; the most alike first.
    ///
    /// `id` is its name in marks, `hashes` are its pHash and dHash, `file` the hex of its file's
    /// blake3.
    pub fn check(&self, id: &str, image: &Rgb, hashes: (u64, u64), file: &str) -> Vec<Hit> {
        let query = Query::with_hashes(image, hashes.0, hashes.1);
        let mut hits = Vec::new();
        for (set, decision) in &self.sets {
            let hit = |item: u32, score, kind| Hit {
                set: set.name.clone(),
                key: set.keys[item as usize].clone(),
                score,
                kind,
            };
            let least = decision.threshold.unwrap_or(crate::decisions::THRESHOLD);
            let exact = set.exact([file].into_iter());
            let nearest = set.search.nearest(&[&query]);
            let found = nearest.iter().flat_map(|near| set.search.search(&query, near, &[]));
            let found = found.filter(|f| exact.is_none_or(|(item, _)| item != f.item));
            let found = found.map(|f| hit(f.item, f.score, f.kind));
            let all = exact.map(|(item, kind)| hit(item, 1.0, kind)).into_iter().chain(found);
            hits.extend(all.filter(|hit| match decision.verdict(&hit.key, id) {
                Some(verdict) => verdict == Verdict::Accept,
                None => hit.score >= least,
            }));
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.key.cmp(&b.key)));
        hits
    }
}
