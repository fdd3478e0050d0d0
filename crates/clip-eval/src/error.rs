//! What can go wrong in an evaluation.

use std::path::PathBuf;

/// A failure of an evaluation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The evaluation set cannot be read.
    #[error(transparent)]
    Dataset(#[from] clip_datasets::Error),
    /// A file cannot be written or read.
    #[error(transparent)]
    Corpus(#[from] clip_corpus::Error),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] clip_torch::tch::TchError),
    /// The interval of an accuracy cannot be computed.
    #[error(transparent)]
    Stats(#[from] clip_stats::Error),
    /// Columns that do not fit together.
    #[error("predictions: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// An image of the set cannot be decoded.
    #[error("{set} item {key:?}: {reason}")]
    Image {
        /// The evaluation set.
        set: String,
        /// The item's key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A prediction file without the columns of one.
    #[error("{}: {reason}", path.display())]
    Predictions {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is nothing to evaluate.
    #[error("{0} has no items")]
    Empty(String),
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
