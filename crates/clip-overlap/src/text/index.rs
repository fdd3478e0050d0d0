//! The captions of an evaluation set, to be found in texts.

use std::collections::HashMap;
use std::path::Path;

use clip_datasets::Truth;
use serde::{Deserialize, Serialize};

use super::align::{Allowed, Words, changes_within};
use crate::{Error, Result};

/// Pairs of words by which a caption is found: the rarest of it.
const RAREST: usize = 8;
/// Words that a caption must have to be found with changes, or within a longer text: shorter ones
/// are said by chance.
const LEAST_WORDS: usize = 5;
/// Words of a caption for each of which one may be changed, after the first change.
const WORDS_A_CHANGE: usize = 8;
/// Words of a caption that must be left of it; half of a longer one.
const LEFT: usize = 4;
/// A run of a text is the whole text where this many words are around it at most.
const AROUND: usize = 2;

/// How a text has a caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextKind {
    /// Byte by byte.
    Exact,
    /// But for case, punctuation and white space.
    Normalised,
    /// With few words changed, dropped or inserted.
    Near,
    /// As a part of it, with as few changes.
    Within,
}

impl TextKind {
    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Normalised => "normalised",
            Self::Near => "near",
            Self::Within => "within",
        }
    }
}

/// One caption of an item.
struct Caption {
    item: u32,
    text: String,
    words: Words,
}

impl Caption {
    /// What may be changed of it; none where it is too short for any change.
    fn allowed(&self) -> Option<Allowed> {
        let words = self.words.len();
        let changes = 1 + words.checked_sub(LEAST_WORDS)? / WORDS_A_CHANGE;
        Some(Allowed { changes, lost: words - LEFT.max(words.div_ceil(2)) })
    }
}

/// A set's captions.
pub struct CaptionIndex {
    /// The set.
    pub name: String,
    /// Keys of its items.
    pub keys: Vec<String>,
    captions: Vec<Caption>,
    numbers: HashMap<String, u32>,
    /// Captions by their words as a whole.
    whole: HashMap<Vec<u32>, Vec<u32>>,
    /// Captions by a rare pair of their words.
    pairs: HashMap<u64, Vec<u32>>,
    digest: String,
}

impl CaptionIndex {
    /// Of a set's items with their captions.
    pub fn new<T: AsRef<str>>(
        name: &str,
        items: impl IntoIterator<Item = (String, Vec<T>)>,
    ) -> Self {
        let mut index = Self {
            name: name.to_owned(),
            keys: Vec::new(),
            captions: Vec::new(),
            numbers: HashMap::new(),
            whole: HashMap::new(),
            pairs: HashMap::new(),
            digest: String::new(),
        };
        let mut hasher = blake3::Hasher::new();
        for (key, texts) in items {
            let item = index.keys.len() as u32;
            hasher.update(key.as_bytes()).update(&[0]);
            for text in texts {
                let text = text.as_ref();
                hasher.update(text.as_bytes()).update(&[1]);
                let words = Words::new(text, |word| index.number(word));
                index.captions.push(Caption { item, text: text.to_owned(), words });
            }
            index.keys.push(key);
        }
        hasher.finalize().to_hex()[..16].clone_into(&mut index.digest);
        index.arrange();
        index
    }

    /// Of a set, or none where its items have no captions.
    ///
    /// # Errors
    /// When the set cannot be read.
    pub fn open(name: &str, path: &Path) -> Result<Option<Self>> {
        let bad = |e: clip_datasets::Error| Error::EvalSet {
            name: name.to_owned(),
            reason: e.to_string(),
        };
        let set = clip_datasets::open_unlabelled(name, path).map_err(bad)?;
        if set.task != clip_datasets::Task::Retrieval {
            return Ok(None);
        }
        let mut items = Vec::new();
        for item in set.items() {
            let item = item.map_err(bad)?;
            let Truth::Captions(captions) = item.truth else { return Ok(None) };
            items.push((item.key, captions));
        }
        let index = Self::new(name, items);
        Ok((!index.captions.is_empty()).then_some(index))
    }

    /// Number of captions.
    pub fn len(&self) -> usize {
        self.captions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.captions.is_empty()
    }

    /// Identity of its content.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    fn number(&mut self, word: String) -> u32 {
        let next = self.numbers.len() as u32;
        *self.numbers.entry(word).or_insert(next)
    }

    /// Finds for each caption the pairs that fewest others have, and among them enough that no
    /// change can touch all: one more than there may be changes, each of other tokens.
    fn arrange(&mut self) {
        let mut counts: HashMap<u64, u32> = HashMap::new();
        for caption in &self.captions {
            for (pair, _) in pairs(&caption.words) {
                *counts.entry(pair).or_default() += 1;
            }
        }
        for (number, caption) in self.captions.iter().enumerate() {
            let number = number as u32;
            self.whole.entry(caption.words.words.clone()).or_default().push(number);
            let Some(most) = caption.allowed() else { continue };
            let mut own: Vec<(u64, (u32, u32))> = pairs(&caption.words).collect();
            own.sort_unstable_by_key(|(pair, place)| (counts[pair], *pair, *place));
            own.dedup_by_key(|(pair, _)| *pair);
            let mut apart: Vec<(u32, u32)> = Vec::new();
            for (rank, (pair, place)) in own.into_iter().enumerate() {
                let other = |known: &(u32, u32)| known.1 < place.0 || place.1 < known.0;
                let free = apart.len() <= most.changes && apart.iter().all(other);
                if free {
                    apart.push(place);
                }
                if free || rank < RAREST {
                    self.pairs.entry(pair).or_default().push(number);
                }
            }
        }
    }

    /// The items whose captions a text has: the number of each, its caption, how, and how alike in
    /// [0, 1].
    pub fn find(&self, text: &str) -> Vec<(u32, &str, TextKind, f32)> {
        let unknown = u32::MAX;
        let own = Words::new(text, |word| self.numbers.get(&word).copied().unwrap_or(unknown));
        let mut best: HashMap<u32, (TextKind, f32, u32)> = HashMap::new();
        let mut add = |number: u32, kind: TextKind, score: f32| {
            let found = (kind, score, number);
            let known = best.entry(self.captions[number as usize].item).or_insert(found);
            if (found.1, std::cmp::Reverse(found.0)) > (known.1, std::cmp::Reverse(known.0)) {
                *known = found;
            }
        };
        for &number in self.whole.get(&own.words).into_iter().flatten().filter(|_| own.len() > 0) {
            let same = self.captions[number as usize].text == text;
            add(number, if same { TextKind::Exact } else { TextKind::Normalised }, 1.0);
        }
        let mut candidates: Vec<u32> =
            pairs(&own).filter_map(|(pair, _)| self.pairs.get(&pair)).flatten().copied().collect();
        candidates.sort_unstable();
        candidates.dedup();
        for number in candidates {
            let caption = &self.captions[number as usize];
            let Some(most) = caption.allowed() else { continue };
            let Some((laid, run)) = changes_within(&caption.words, &own, most) else { continue };
            if laid.changes == 0 && run == own.len() {
                continue;
            }
            let kind = if own.len() - run <= AROUND { TextKind::Near } else { TextKind::Within };
            let touched = laid.changes.max(laid.lost) as f32;
            add(number, kind, 1.0 - touched / caption.words.len() as f32);
        }
        let mut found: Vec<_> = best
            .into_iter()
            .map(|(item, (kind, score, number))| {
                (item, self.captions[number as usize].text.as_str(), kind, score)
            })
            .collect();
        found.sort_unstable_by_key(|found| found.0);
        found
    }
}

/// Neighbouring words, and words with one between them, each with its first and last token.
fn pairs(words: &Words) -> impl Iterator<Item = (u64, (u32, u32))> + '_ {
    // A word that was inserted between two, or dropped, leaves the pair of its neighbours.
    [1, 2].into_iter().flat_map(move |apart| {
        (apart..words.len()).map(move |to| {
            let [first, second] = [to - apart, to].map(|at| u64::from(words.words[at]));
            ((first << 32) | second, words.tokens(to - apart, to))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> CaptionIndex {
        let items = [
            ("a", vec!["A man rides a brown horse along the beach.", "Rider on a horse"]),
            ("b", vec!["Two dogs play with a red ball in the snow"]),
            ("c", vec!["A cat."]),
        ];
        CaptionIndex::new("toys", items.map(|(key, texts)| (key.to_owned(), texts)))
    }

    fn found(text: &str) -> Vec<(u32, TextKind)> {
        index().find(text).into_iter().map(|(item, _, kind, _)| (item, kind)).collect()
    }

    #[test]
    fn captions_are_found_whatever_was_done_to_them() {
        use TextKind::{Exact, Near, Normalised, Within};
        for (text, expected) in [
            ("A man rides a brown horse along the beach.", (0, Exact)),
            ("a man rides a BROWN horse, along the beach", (0, Normalised)),
            ("a man rides a black horse along the beach", (0, Near)),
            ("a man rides a horse along the beach", (0, Near)),
            ("a man rides a big brown horse along the beach", (0, Near)),
            ("Stock photo 123: a man rides a brown horse along the beach - buy now", (0, Within)),
            (
                "two dogs play with a blue ball in the snow, Vermont, winter 2019, print",
                (1, Within),
            ),
            ("rider on a HORSE", (0, Normalised)),
            ("a cat", (2, Normalised)),
        ] {
            assert_eq!(found(text), [expected], "{text}");
        }
        let copy = index().find("a man rides a black horse along the beach")[0].3;
        assert!((copy - 8.0 / 9.0).abs() < 1e-6, "{copy}");
    }

    #[test]
    fn a_token_of_several_words_is_one_change_wherever_it_is() {
        let caption = "Canon-EOS-5D-Mark-IV-body-only with grip and a charger in the original box, sold \
                       by owner";
        let index = CaptionIndex::new("toys", [("a".to_owned(), vec![caption])]);
        let tokens: Vec<&str> = caption.split_whitespace().collect();
        for at in 0..tokens.len() {
            for other in [&["word"][..], &["made-of-four_words"], &[]] {
                let text = [&tokens[..at], other, &tokens[at + 1..]].concat().join(" ");
                assert_eq!(index.find(&text).len(), 1, "{text}");
            }
        }
        // Little of it is left.
        let index = CaptionIndex::new("toys", [("a".to_owned(), vec!["see DSC_1_2_3_4 by night"])]);
        assert!(index.find("see word by night").is_empty());
    }

    #[test]
    fn what_is_said_by_chance_is_not_found() {
        for text in [
            "a cat on a sofa",
            "my rider on a horse",
            "a man rides a bicycle along the road",
            "",
            "…",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
