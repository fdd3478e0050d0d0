//! Captions of evaluation sets that a corpus has too: equal, equal but for case and punctuation,
//! with a word or two changed, and as a part of a longer text.
//!
//! Candidates are the item captions that share one of their rarest pairs of words with a text of
//! the corpus: a minimum over a fixed order of a caption's pairs, as MinHash takes it, with rarity
//! as the order. Among them are enough pairs of separate tokens that allowed changes leave one.
//! MinHash's own, random order estimates how alike two whole texts are, and so misses a caption
//! within a longer one. A candidate is then laid over the text, word by word and token by token.

mod align;
mod index;
mod scan;

pub use index::{CaptionIndex, TextKind};
pub use scan::{TextMatch, TextScan, TextUnit};

/// Words in lower case, anything else cut away.
pub(crate) fn words(text: &str) -> Vec<String> {
    let cut = |c: char| !c.is_alphanumeric();
    text.split(cut).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}
