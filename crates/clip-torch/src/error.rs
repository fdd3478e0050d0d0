//! What can go wrong in libtorch.

use clip_format::{Classify, ErrorClass};

/// A failure of libtorch or of its version.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// libtorch threw.
    #[error("libtorch: {0}")]
    Libtorch(String),
    /// The device, or the host, has no memory left.
    #[error(
        "libtorch: {0}\nhint: give a smaller --batch-size; a training also has --accum-freq, which takes a batch in chunks, and --grad-checkpointing"
    )]
    Memory(String),
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

impl Error {
    /// Whether a device, or the host, has no memory left.
    pub fn is_memory(&self) -> bool {
        matches!(self, Self::Memory(_))
    }

    /// Of what libtorch threw, without the frames of its stack.
    pub(crate) fn thrown(text: &str) -> Self {
        const MEMORY: [&str; 4] =
            ["out of memory", "allocate memory", "alloc_cpu.cpp", "std::bad_alloc"];
        let text = text.split("\nException raised from").next().unwrap_or(text).trim_end();
        let kind = if MEMORY.iter().any(|sign| text.contains(sign)) {
            Self::Memory
        } else {
            Self::Libtorch
        };
        kind(text.to_owned())
    }
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        match error {
            tch::TchError::Torch(text) => Self::thrown(&text),
            other => Self::Libtorch(other.to_string()),
        }
    }
}

impl Classify for Error {
    fn class(&self) -> Option<ErrorClass> {
        Some(ErrorClass::Environment)
    }
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
