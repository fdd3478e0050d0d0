//! What can be wrong with a model or its weights.

use std::path::PathBuf;

use clip_format::{Classify, ErrorClass, FileError, FileKind, PathError};

/// A failure of a model's configuration or weights.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A file that is not what it should be.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of another kind than weights.
    #[error("{}: {kind}, not weights\nhint: weights are a .safetensors, .pt or .bin file, or a folder of open_clip or transformers", path.display())]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: FileKind,
    },
    /// A configuration that gives no model.
    #[error("model configuration: {0}")]
    Config(String),
    /// Weights that do not fit the model.
    #[error("weights do not fit the model: {faults}\nhint: {cause}")]
    Weights {
        /// The tensors concerned.
        faults: String,
        /// What most likely went wrong.
        cause: &'static str,
    },
    /// libtorch failed.
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
        Some(match self {
            Self::WrongKind { .. } => ErrorClass::Usage,
            _ => ErrorClass::Environment,
        })
    }
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

clip_format::path_errors!(Error);
