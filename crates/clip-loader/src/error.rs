//! What can go wrong with the data.

use clip_format::{Classify, ErrorClass, FileError, PathError};

/// A failure of the data, or of how it is asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A file that is not what it should be.
    #[error(transparent)]
    File(#[from] FileError),
    /// Options that cannot work together, or with this corpus.
    #[error("{0}")]
    Options(String),
    /// The shards.
    #[error(transparent)]
    Corpus(#[from] clip_corpus::Error),
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

clip_format::path_errors!(Error);
