//! What can go wrong in an evaluation.

use clip_format::{Classify, ErrorClass, FileError, PathError};

/// A failure of an evaluation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The evaluation set cannot be read.
    #[error(transparent)]
    Dataset(#[from] clip_datasets::Error),
    /// A file cannot be written or read.
    #[error(transparent)]
    Corpus(#[from] clip_corpus::Error),
    /// A model's file cannot be written or read.
    #[error(transparent)]
    Model(#[from] clip_model::Error),
    /// What the model computed is not finite, or libtorch failed.
    #[error(transparent)]
    Output(#[from] clip_torch::Error),
    /// The interval of an accuracy cannot be computed.
    #[error(transparent)]
    Stats(#[from] clip_stats::Error),
    /// Columns that do not fit together.
    #[error("predictions: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] PathError),
    /// An image of the set cannot be decoded.
    #[error(
        "{set} item {key:?}: {reason}\nhint: --skip-unreadable counts such images and continues; `eval doctor` lists them"
    )]
    Image {
        /// The evaluation set.
        set: String,
        /// The item's key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of numbers without what it should hold.
    #[error(transparent)]
    File(#[from] FileError),
    /// Items that a contamination report does not know.
    #[error(
        "{set}: {count} items are not those that the contamination report looked for, such as {key:?}: another key or another image\nhint: `clip-data contamination --eval {set}=PATH` with this very set writes its report"
    )]
    NotAudited {
        /// The evaluation set.
        set: String,
        /// How many.
        count: usize,
        /// The key of the first.
        key: String,
    },
    /// A set that an evaluation cannot use.
    #[error("{set}: {reason}")]
    Task {
        /// The evaluation set.
        set: String,
        /// Why.
        reason: String,
    },
    /// Parts that hold the same items: a score on what was fitted on says nothing.
    #[error(
        "{count} items of {part} are in {other} too, by their content: the first is {key:?} of {part} and {same:?} of {other}\nhint: a score on items that were fitted or chosen on is too high; --drop-shared leaves such items out of {part} and counts them"
    )]
    Shared {
        /// The part that is fitted or chosen on.
        part: &'static str,
        /// The part that it shares items with.
        other: &'static str,
        /// Items of the part that are shared.
        count: usize,
        /// The first shared item of the part.
        key: String,
        /// The item of the other part with the same content.
        same: String,
    },
    /// Rows that a probe cannot be fitted to.
    #[error("linear probe: {0}")]
    Probe(String),
    /// There is nothing to evaluate.
    #[error("{0} has no items")]
    Empty(String),
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
