//! The query list of the paper's section 2.2: build it, match captions against it, balance by it.

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
mod list;
mod matcher;
mod open;
mod pageviews;
mod parallel_records;
mod runs;
mod tables;
mod tokens;
pub mod wikitext;
pub mod wordnet;
pub mod words;

pub use bigrams::{BigramRule, npmi, pmi};
pub use build::{Build, Given, Order, Origin, Read};
pub use error::{Error, Result};
pub use hash_rng::{draw, keep_probability};
pub use list::{Passed, Query, QueryList, QuerySource, numerals};
pub use matcher::{Found, MatchOptions, QueryMatcher, Rules, Workspace};
