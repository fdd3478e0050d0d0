//! The query list of the paper's section 2.2: build it, match captions against it, balance by it.
//!
//! ```
//! use clip_query::{MatchOptions, QueryList, QueryMatcher, Rules, Workspace, keep_probability};
//!
//! # fn main() -> clip_query::Result<()> {
//! let list = QueryList::from_texts(["fox", "red fox", "owl"]);
//! let options = MatchOptions { rules: Rules::Words, ignore_case: true };
//! let matcher = QueryMatcher::build(&list, options)?;
//! let (mut workspace, mut found) = (Workspace::default(), Vec::new());
//! matcher.find("A red fox, asleep", &mut workspace, &mut found);
//! let texts = found.iter().map(|&id| list.queries()[id as usize].text.as_str());
//! assert!(texts.eq(["fox", "red fox"]));
//!
//! // A pair of a query with 40,000 pairs, of which 20,000 are wanted.
//! assert_eq!(keep_probability([40_000], 20_000), 0.5);
//! # Ok(())
//! # }
//! ```

mod bigrams;
mod build;
mod chars;
mod counter;
mod dump;
mod error;
mod files;
mod hash;
mod hash_rng;
mod index;
mod language_matcher;
mod lexicon;
mod list;
mod lists;
mod match_options;
mod matcher;
mod open;
mod origin;
mod pageviews;
mod parallel_records;
mod query;
mod runs;
mod segment;
mod tables;
mod tokens;
pub mod wikitext;
pub mod wordnet;
pub mod words;

pub use bigrams::{BigramRule, npmi, pmi};
pub use build::{Build, Order};
pub use error::{Error, Result};
pub use hash_rng::{draw, keep_probability};
pub use language_matcher::LanguageMatcher;
pub use lexicon::Lexicon;
pub use list::{Passed, QueryList, numerals};
pub use lists::{LanguageIds, QueryLists};
pub use match_options::{MatchOptions, Rules};
pub use matcher::{Found, QueryMatcher, Workspace};
pub use origin::{Given, Origin, Read};
pub use query::{Query, QuerySource};
pub use segment::Dictionary;
