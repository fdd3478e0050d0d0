//! What can go wrong with text resources.

use std::path::PathBuf;

/// A failure of a text resource.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The language model cannot be used.
    #[error("{}: {reason}\nhint: lid.176.ftz of fastText is wanted; scripts/setup puts it into the cache", path.display())]
    Model {
        /// The model's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
