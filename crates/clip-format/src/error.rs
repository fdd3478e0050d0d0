//! The operating system's errors, with the file that they are about.

use std::path::{Path, PathBuf};

/// The operating system refused: the file or folder, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct PathError {
    /// The file or folder concerned.
    pub path: PathBuf,
    /// The cause.
    pub source: std::io::Error,
}

impl PathError {
    /// An error at a path.
    pub fn new(path: &Path, source: std::io::Error) -> Self {
        Self { path: path.to_path_buf(), source }
    }
}
