//! What can go wrong while comparing a corpus with evaluation sets.

use std::path::PathBuf;

use clip_format::{Classify, ErrorClass, FileError};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The corpus or the index could not be read or written.
    #[error(transparent)]
    Corpus(#[from] clip_corpus::Error),
    /// A file could not be written.
    #[error(transparent)]
    Io(#[from] clip_format::PathError),
    /// Arrow refused the columns.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    /// The evaluation set could not be read.
    #[error("evaluation set {name}: {reason}")]
    EvalSet {
        /// Its name.
        name: String,
        /// What was wrong.
        reason: String,
    },
    /// A file holds something else than it should.
    #[error(transparent)]
    File(#[from] FileError),
    /// Counts that no split of rows can give.
    #[error(transparent)]
    Stats(#[from] clip_stats::Error),
    /// A thumbnail could not be written.
    #[error(transparent)]
    Image(#[from] clip_image::Error),
}

impl Error {
    /// An error about a file.
    pub fn file(path: impl Into<PathBuf>, reason: impl std::fmt::Display) -> Self {
        Self::File(FileError::new(path, reason))
    }
}

impl Classify for Error {
    fn class(&self) -> Option<ErrorClass> {
        match self {
            Self::Corpus(error) => error.class(),
            _ => None,
        }
    }
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
