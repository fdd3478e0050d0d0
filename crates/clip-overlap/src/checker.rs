//! Holding pictures against several evaluation sets.

use std::collections::HashMap;
use std::path::Path;

use clip_image::{DecodeOptions, Rgb, decode};
use rayon::prelude::*;

use crate::candidates::CandidateOptions;
use crate::fingerprint::Fingerprint;
use crate::set::{Kind, SetIndex};
use crate::{Error, Result};

/// The evaluation item that a picture is a copy of.
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

struct Set {
    name: String,
    keys: Vec<String>,
    files: HashMap<String, u32>,
    index: SetIndex,
}

/// Evaluation sets, fingerprinted and ready to be searched.
pub struct Checker {
    sets: Vec<Set>,
    threshold: f32,
}

impl Checker {
    /// Fingerprints the sets; pictures count as copies from `threshold` on.
    ///
    /// # Errors
    /// When a set cannot be opened, or one of its images cannot be decoded: it would go unchecked.
    pub fn open<'a>(
        sets: impl IntoIterator<Item = (&'a str, &'a Path)>,
        threshold: f32,
    ) -> Result<Self> {
        let sets: Result<_> = sets.into_iter().map(|(name, path)| Set::open(name, path)).collect();
        Ok(Self { sets: sets?, threshold })
    }

    /// The item most like the picture, if one is like enough.
    ///
    /// `hashes` are its pHash and dHash, `file` the hex of its file's blake3.
    pub fn check(&self, image: &Rgb, hashes: (u64, u64), file: &str) -> Option<Hit> {
        let hit = |set: &Set, item: u32, score, kind| Hit {
            set: set.name.clone(),
            key: set.keys[item as usize].clone(),
            score,
            kind,
        };
        let exact = |set: &Set| Some(hit(set, *set.files.get(file)?, 1.0, Kind::Exact));
        if let Some(found) = self.sets.iter().find_map(exact) {
            return Some(found);
        }
        let own = Fingerprint::with_hashes(image, hashes.0, hashes.1);
        let best = |set: &Set| {
            let found = set.index.search(image, &own).into_iter().next()?;
            // A picture that shows next to nothing is a copy of any other such picture, and of none.
            let alike = found.score >= self.threshold && found.kind != Kind::Flat;
            alike.then(|| hit(set, found.item, found.score, found.kind))
        };
        self.sets.iter().filter_map(best).max_by(|a, b| a.score.total_cmp(&b.score))
    }
}

impl Set {
    fn open(name: &str, path: &Path) -> Result<Self> {
        let failed = |reason: String| Error::EvalSet { name: name.to_owned(), reason };
        let set = clip_datasets::open(path).map_err(|e| failed(e.to_string()))?;
        let items: clip_datasets::Result<Vec<_>> = set.items().collect();
        let items = items.map_err(|e| failed(e.to_string()))?;
        if items.is_empty() {
            return Err(failed("it has no items".into()));
        }
        let prints: Result<Vec<_>> = items
            .par_iter()
            .map(|item| {
                let image = decode(&item.image, &DecodeOptions::default())
                    .map_err(|e| failed(format!("item {}: {e}", item.key)))?;
                Ok(Fingerprint::of(&image))
            })
            .collect();
        let file = |(at, item): (usize, &clip_datasets::EvalItem)| {
            (blake3::hash(&item.image).to_hex().to_string(), at as u32)
        };
        Ok(Self {
            name: name.to_owned(),
            files: items.iter().enumerate().map(file).collect(),
            keys: items.into_iter().map(|item| item.key).collect(),
            index: SetIndex::new(prints?, &CandidateOptions::default()),
        })
    }
}
