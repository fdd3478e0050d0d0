//! What can go wrong with text resources.

use std::path::PathBuf;

/// A failure of a text resource.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The language model cannot be used.
    #[error("{}: {reason}\nhint: a model of fastText is wanted; lid.176.ftz is at https://dl.fbaipublicfiles.com/fasttext/supervised-models/lid.176.ftz", path.display())]
    Model {
        /// The model's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A classifier cannot be used.
    #[error("{}: {reason}\nhint: a supervised fastText model (.bin or .ftz) is wanted; `clip-data classifier train` makes one", path.display())]
    Classifier {
        /// The model's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A classifier cannot be trained.
    #[error("{}: cannot train: {reason}", path.display())]
    Training {
        /// The file that is at fault, or the model's.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A class has no text.
    #[error("{}: no line with a word\nhint: a text a line, of one class", path.display())]
    NoText {
        /// The class's file.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] clip_format::PathError),
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
