//! The list of a barrier's decision files.

use std::path::{Path, PathBuf};

use clip_corpus::PartFile;
use serde::{Deserialize, Serialize};

use crate::format::Format;

/// The column with the reason for which a row is dropped, null where it continues.
pub(super) const REASON: &str = "reason";

/// The list of a barrier's decision files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DecisionIndex {
    /// The files, in the order of rows.
    pub files: Vec<DecisionFile>,
}

/// A file of decisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DecisionFile {
    /// The file, relative to the folder of decisions.
    pub file: PartFile,
    /// The first and the last part that it has rows of.
    pub parts: (usize, usize),
    /// Number of rows.
    pub rows: u64,
}

impl Format for DecisionIndex {
    const VERSION: u32 = 1;
}

impl DecisionIndex {
    /// The file with the decisions about a part; where it had no rows, any has the columns.
    pub fn about(&self, part: usize) -> Option<(usize, &DecisionFile)> {
        let at = self.files.partition_point(|file| file.parts.1 < part);
        let at = at.min(self.files.len().saturating_sub(1));
        self.files.get(at).map(|file| (at, file))
    }
}

/// The path of a decision file.
pub(super) fn path_of(folder: &Path, number: usize) -> (String, PathBuf) {
    let name = format!("{number:05}.parquet");
    let path = folder.join(&name);
    (name, path)
}
