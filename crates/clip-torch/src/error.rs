//! What can go wrong in libtorch.

use clip_format::{Classify, ErrorClass};

/// A failure of libtorch or of its version.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// libtorch threw.
    #[error("libtorch: {0}")]
    Libtorch(String),
    /// tch.
    #[error("libtorch: {0}")]
    Tch(#[from] tch::TchError),
    /// The library found at run time is another than that at build time.
    #[error(
        "libtorch {found} was loaded, but this build needs {wanted}\nhint: set CLIP_DATA_LIBTORCH to a libtorch {wanted}"
    )]
    Version {
        /// What was loaded.
        found: String,
        /// What is needed.
        wanted: &'static str,
    },
    /// A model's output holds NaN or infinite values.
    #[error(
        "the model's output for {item} is not finite (NaN or infinite)\nhint: its weights hold such values, or its numbers left the range of their type; no score or embedding of it has a meaning"
    )]
    NotFinite {
        /// What the output was computed for.
        item: String,
    },
}

impl Classify for Error {
    fn class(&self) -> Option<ErrorClass> {
        Some(ErrorClass::Environment)
    }
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
