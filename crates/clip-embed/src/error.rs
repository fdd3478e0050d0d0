//! What can go wrong while embedding.

use clip_format::{Classify, ErrorClass, FileError, PathError};

/// A failure of a whole run; an item that cannot be embedded is none, but a rejected row.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] PathError),
    /// There is nothing to embed, or the folder holds other embeddings.
    #[error(transparent)]
    File(#[from] FileError),
    /// The model cannot score pairs as it was asked to.
    #[error("{0}")]
    Scorer(String),
    /// A shard or a table failed.
    #[error(transparent)]
    Corpus(#[from] clip_corpus::Error),
    /// The model failed.
    #[error(transparent)]
    Model(#[from] clip_model::Error),
    /// What the model computed is not finite, or libtorch failed.
    #[error(transparent)]
    Output(#[from] clip_torch::Error),
    /// The metadata does not fit its columns.
    #[error("metadata: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl From<clip_torch::tch::TchError> for Error {
    fn from(error: clip_torch::tch::TchError) -> Self {
        Self::Output(error.into())
    }
}

impl Classify for Error {
    fn class(&self) -> Option<ErrorClass> {
        match self {
            Self::Model(_) | Self::Output(_) => Some(ErrorClass::Environment),
            Self::Corpus(error) => error.class(),
            _ => None,
        }
    }
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

clip_format::path_errors!(Error);
