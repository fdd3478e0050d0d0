//! What can go wrong in training.

use std::path::{Path, PathBuf};

use clip_format::{Classify, ErrorClass, FileError, PathError};

/// A failure of the data, the recipe or the machine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A file that is not what it should be.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of a checkpoint that was changed after it was written.
    #[error("{}: {reason}\nhint: move {} away to resume the checkpoint before it", path.display(), folder.display())]
    Damaged {
        /// The checkpoint.
        folder: PathBuf,
        /// The file concerned.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Options that cannot work together.
    #[error("{0}")]
    Recipe(String),
    /// Another process of the group is gone.
    #[error("{0}")]
    Peer(String),
    /// The loss left the numbers.
    #[error(
        "step {step}: the loss is {loss}\nhint: lower --lr, lengthen --warmup, or use --precision fp32"
    )]
    Diverged {
        /// The step, from 0.
        step: u64,
        /// The loss.
        loss: f64,
    },
    /// The processes no longer train the same model.
    #[error(
        "step {step}: rank {rank} has another {parameter} than rank 0\n\
         hint: run again to resume the last checkpoint; the machines must have the same libtorch and processors of \
         one kind"
    )]
    Replicas {
        /// Steps taken.
        step: u64,
        /// The process.
        rank: usize,
        /// The first parameter that differs.
        parameter: String,
    },
    /// The caller asked to stop at once.
    #[error("interrupted")]
    Interrupted,
    /// What is trained on.
    #[error(transparent)]
    Loader(#[from] clip_loader::Error),
    /// A file of a run.
    #[error(transparent)]
    Corpus(#[from] clip_corpus::Error),
    /// The model.
    #[error(transparent)]
    Model(#[from] clip_model::Error),
    /// libtorch.
    #[error(transparent)]
    Torch(#[from] clip_torch::Error),
}

impl From<clip_torch::tch::TchError> for Error {
    fn from(error: clip_torch::tch::TchError) -> Self {
        Self::Torch(error.into())
    }
}

impl Classify for Error {
    fn class(&self) -> Option<ErrorClass> {
        match self {
            Self::Diverged { .. } | Self::Replicas { .. } => Some(ErrorClass::Gate),
            Self::Loader(error) => error.class(),
            Self::Corpus(error) => error.class(),
            Self::Peer(_) => Some(ErrorClass::Incomplete),
            Self::Damaged { .. } => Some(ErrorClass::Damaged),
            Self::Interrupted => Some(ErrorClass::Interrupted),
            Self::Model(_) | Self::Torch(_) => Some(ErrorClass::Environment),
            _ => None,
        }
    }
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

clip_format::path_errors!(Error);

impl Error {
    pub(crate) fn damaged(folder: &Path, path: &Path, reason: &str) -> Self {
        let (folder, path) = (folder.to_path_buf(), path.to_path_buf());
        Self::Damaged { folder, path, reason: reason.to_owned() }
    }
}
