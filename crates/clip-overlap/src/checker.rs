//! Checking images against several evaluation sets, one at a time.

use clip_image::Rgb;

use crate::decision::{CopyRule, Judgement};
use crate::hit_kind::HitKind;
use crate::search::{EvalIndex, Query};

/// An evaluation item that an image is a copy of, or may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Name of the evaluation set.
    pub set: String,
    /// Key of the item.
    pub key: String,
    /// How alike, in [0, 1]; 1 for equal bytes.
    pub score: f32,
    /// How it was recognised.
    pub kind: HitKind,
    /// What the set's rule says; never [`Judgement::Different`].
    pub judgement: Judgement,
}

/// Evaluation sets, ready to be searched, and when an image counts as a copy of an item of each.
pub struct Checker {
    sets: Vec<(EvalIndex, CopyRule)>,
}

impl Checker {
    /// Of these sets, which were opened with the same options.
    pub fn new(sets: Vec<(EvalIndex, CopyRule)>) -> Self {
        Self { sets }
    }

    /// Every item that the image counts as a copy of, and those that it resembles though one of
    /// both shows next to nothing; the most alike first.
    ///
    /// `id` is its name in marks, `hashes` are its pHash and dHash, `files` blake3 or SHA-256 of
    /// its files, in hex.
    pub fn check(&self, id: &str, image: &Rgb, hashes: (u64, u64), files: &[&str]) -> Vec<Hit> {
        let Some((first, _)) = self.sets.first() else { return Vec::new() };
        let query = Query::with_hashes(image, first.search.options().working, hashes);
        let mut hits = Vec::new();
        for (set, rule) in &self.sets {
            let hit = |(item, score, kind): (u32, f32, HitKind)| {
                let key = set.keys[item as usize].clone();
                let judgement = rule.judge(&key, id, kind, score);
                Hit { set: set.name.clone(), key, score, kind, judgement }
            };
            let exact = set.exact(files.iter().copied()).map(|(item, kind)| (item, 1.0, kind));
            let nearest = set.search.nearest(&[&query]);
            let found = nearest.iter().flat_map(|near| set.search.search(&query, near, &[]));
            let found = found.filter(|f| exact.is_none_or(|(item, ..)| item != f.item));
            let found = found.map(|f| (f.item, f.score, f.kind));
            let all = exact.into_iter().chain(found).map(hit);
            hits.extend(all.filter(|hit| hit.judgement != Judgement::Different));
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.key.cmp(&b.key)));
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Verdict;
    use crate::search::CandidateOptions;
    use clip_image::encode_png;

    #[test]
    fn a_flat_image_is_a_copy_only_where_it_was_accepted_by_eye() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("set/black")).unwrap();
        let black = Rgb::filled(64, 48, [0; 3]);
        let png = encode_png(&black).unwrap();
        std::fs::write(dir.path().join("set/black/1.png"), &png).unwrap();
        let file = blake3::hash(&png).to_hex().to_string();
        let judgement = |rule: CopyRule| {
            let set =
                EvalIndex::open("set", &dir.path().join("set"), None, &CandidateOptions::default())
                    .unwrap();
            let hits = Checker::new(vec![(set, rule)]).check(
                "7",
                &black,
                (0, 0),
                &["of the original", &file],
            );
            hits.first().map(|hit| (hit.kind, hit.judgement))
        };
        let key =
            EvalIndex::open("set", &dir.path().join("set"), None, &CandidateOptions::default())
                .unwrap()
                .keys[0]
                .clone();
        let looked = |verdict| CopyRule::default().reviewed([(key.as_str(), "7", verdict)]);
        let flat = |judgement| Some((HitKind::Flat, judgement));
        assert_eq!(judgement(CopyRule::default()), flat(Judgement::Unproven));
        assert_eq!(judgement(looked(Verdict::Accept)), flat(Judgement::Copy));
        assert_eq!(judgement(looked(Verdict::Reject)), None);
    }
}
