//! The query list of the paper's section 2.2: build it, match captions against it, balance by it.

mod draw;
mod error;
mod list;
mod matcher;
mod spacing;
pub mod wordnet;
pub mod words;

pub use draw::{draw, keep_probability};
pub use error::{Error, Result};
pub use list::{Query, QueryList, QuerySource, numerals};
pub use matcher::{MatchOptions, QueryMatcher, Rules};
