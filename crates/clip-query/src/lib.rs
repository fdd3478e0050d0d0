//! The query list of the paper's section 2.2: build it, match captions against it, balance by it.

mod bigrams;
mod build;
mod chars;
mod counter;
mod draw;
mod dump;
mod error;
mod files;
mod hash;
mod index;
mod list;
mod matcher;
mod open;
mod pageviews;
mod pump;
mod runs;
mod tables;
mod tokens;
pub mod wikitext;
pub mod wordnet;
pub mod words;

pub use bigrams::{BigramRule, npmi, pmi};
pub use build::{Build, Given, Order, Origin, Read};
pub use draw::{draw, keep_probability};
pub use error::{Error, Result};
pub use list::{Passed, Query, QueryList, QuerySource, numerals};
pub use matcher::{Found, MatchOptions, QueryMatcher, Rules, Workspace};
