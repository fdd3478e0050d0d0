//! What can be wrong with an evaluation set.

use std::path::{Path, PathBuf};

use clip_format::{FileError, PathError};

/// A failure of an evaluation set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A shard cannot be read or written.
    #[error(transparent)]
    Corpus(#[from] clip_corpus::Error),
    /// The folder is not laid out as it should be.
    #[error("{}: {reason}\nhint: the expected tree is\n{tree}", path.display())]
    Layout {
        /// The folder or file.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
        /// The tree that is expected.
        tree: String,
    },
    /// The layout is the expected one, but has no such part.
    #[error("{}: no {part} part\nhint: the expected tree is\n{tree}", path.display())]
    Part {
        /// The folder or file.
        path: PathBuf,
        /// The part that was asked for.
        part: &'static str,
        /// The tree that is expected.
        tree: String,
    },
    /// A file of the set is not what it should be.
    #[error(transparent)]
    File(#[from] FileError),
    /// An item that is not what it should be.
    #[error("{} item {key:?}: {reason}", path.display())]
    Item {
        /// The file that holds it.
        path: PathBuf,
        /// Its key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A fold that the set does not have.
    #[error("{set}: fold {fold} of {folds}")]
    Fold {
        /// The evaluation set.
        set: String,
        /// The fold, from 1.
        fold: usize,
        /// The folds that there are.
        folds: usize,
    },
    /// Classes of the set and classes of the protocol do not fit.
    #[error("{set}: {reason}")]
    Classes {
        /// The evaluation set.
        set: String,
        /// What does not fit.
        reason: String,
    },
    /// A name that stands for nothing.
    #[error("{what} {name:?} is unknown\nhint: {known}")]
    Unknown {
        /// What it was meant to name.
        what: &'static str,
        /// The name.
        name: String,
        /// The names that are known.
        known: String,
    },
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

clip_format::path_errors!(Error);

impl Error {
    pub(crate) fn layout(path: &Path, reason: impl Into<String>, tree: &str) -> Self {
        Self::Layout { path: path.to_path_buf(), reason: reason.into(), tree: tree.into() }
    }

    pub(crate) fn item(path: &Path, key: &str, reason: impl Into<String>) -> Self {
        Self::Item { path: path.to_path_buf(), key: key.into(), reason: reason.into() }
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Error::io(path, e))
}

pub(crate) fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::io(path, e))
}

/// The lines of a small text file, stripped; an empty line in the middle is an error.
pub(crate) fn lines(path: &Path) -> Result<Vec<String>> {
    let text = text(path)?;
    let text = text.trim_start_matches('\u{feff}').trim_end();
    let lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    match lines.iter().position(String::is_empty) {
        Some(at) => Err(Error::file(path, format!("line {} is empty", at + 1))),
        None => Ok(lines),
    }
}

pub(crate) fn json(path: &Path) -> Result<serde_json::Value> {
    serde_json::from_str(&text(path)?).map_err(|e| Error::file(path, e))
}
