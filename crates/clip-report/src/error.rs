//! What can go wrong while a report is written.

use std::path::Path;

use clip_format::{Classify, ErrorClass, FileError};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that should be there is not, or is not what it should be.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file could not be written.
    #[error(transparent)]
    Io(#[from] clip_format::PathError),
    /// The corpus could not be read.
    #[error(transparent)]
    Corpus(#[from] clip_corpus::Error),
    /// An evaluation set could not be read.
    #[error(transparent)]
    Dataset(#[from] clip_datasets::Error),
    /// A run could not be read.
    #[error(transparent)]
    Pipeline(#[from] clip_pipeline::Error),
}

impl Classify for Error {
    fn class(&self) -> Option<ErrorClass> {
        match self {
            Self::Corpus(error) => error.class(),
            Self::Pipeline(error) => error.class(),
            _ => None,
        }
    }
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn file(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::File(FileError::new(path, reason))
    }
}

/// What a JSON file holds.
pub(crate) fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).map_err(|e| clip_format::PathError::new(path, e))?;
    serde_json::from_slice(&text).map_err(|e| Error::file(path, e))
}
