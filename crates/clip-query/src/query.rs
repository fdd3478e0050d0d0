//! A query, and where it came from.

use serde::{Deserialize, Serialize};

/// Where a query came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuerySource {
    /// "0" to "99".
    Numeral,
    /// A name of a WordNet synset.
    Wordnet,
    /// A frequent word.
    Unigram,
    /// A pair of words that occur together.
    Bigram,
    /// The title of an article.
    Title,
    /// A line of a plain list.
    List,
}

impl QuerySource {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Numeral, Self::Wordnet, Self::Unigram, Self::Bigram, Self::Title, Self::List];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Numeral => "numeral",
            Self::Wordnet => "wordnet",
            Self::Unigram => "unigram",
            Self::Bigram => "bigram",
            Self::Title => "title",
            Self::List => "list",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }
}

/// One query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Its text; empty for a row of a file that is no query, so that ids stay row numbers.
    pub text: String,
    /// Where it came from.
    pub source: QuerySource,
    /// How often its source had it (occurrences, views); 0 where that is not known.
    pub count: u64,
    /// What ranked it: PMI in bits or NPMI for pairs, else the count.
    pub score: f64,
}

/// The text in lower case, letter by letter: a letter's case does not depend on what is beside
/// it.
pub(crate) fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}
