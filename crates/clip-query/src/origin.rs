//! How a list came about.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::query::QuerySource;

/// What a source gave, and what the list took of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The source.
    pub source: QuerySource,
    /// What it has that passes its own thresholds.
    pub offered: u64,
    /// Of these, what the list took.
    pub kept: u64,
    /// In the list already.
    pub repeated: u64,
    /// Empty, over-long, or nothing but marks.
    pub unusable: u64,
    /// Beyond the limit.
    pub beyond: u64,
}

/// What an input held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// The file.
    pub path: PathBuf,
    /// What it was read as.
    pub kind: String,
    /// What was found in it.
    pub found: Vec<(String, u64)>,
}

/// How a list came about; stored with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// What was read.
    pub inputs: Vec<Read>,
    /// What each source gave, in the list's order.
    pub sources: Vec<Given>,
    /// Words counted in texts and count files.
    pub words: u64,
}
