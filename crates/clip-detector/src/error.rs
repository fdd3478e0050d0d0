//! What can go wrong with the detector.

use std::path::PathBuf;

use clip_format::{Classify, ErrorClass, FileError};

/// A failure of the detector, its training or its files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read, written, or is not what it should be.
    #[error(transparent)]
    File(#[from] FileError),
    /// A configuration that gives no network.
    #[error("detector configuration: {0}")]
    Config(String),
    /// Images that cannot be trained on.
    #[error("{0}")]
    Data(String),
    /// The corpus could not be read.
    #[error(transparent)]
    Overlap(#[from] clip_overlap::Error),
    /// Weights could not be read or written.
    #[error(transparent)]
    Model(#[from] clip_model::Error),
    /// libtorch failed.
    #[error(transparent)]
    Torch(#[from] clip_torch::Error),
}

impl Error {
    pub(crate) fn file(path: impl Into<PathBuf>, reason: impl std::fmt::Display) -> Self {
        Self::File(FileError::new(path, reason))
    }
}

impl From<clip_torch::tch::TchError> for Error {
    fn from(error: clip_torch::tch::TchError) -> Self {
        Self::Torch(error.into())
    }
}

impl Classify for Error {
    fn class(&self) -> Option<ErrorClass> {
        match self {
            Self::Torch(_) | Self::Model(_) => Some(ErrorClass::Environment),
            _ => None,
        }
    }
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
