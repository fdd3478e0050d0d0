//! What can be wrong with an evaluation set.

use std::path::{Path, PathBuf};

/// A failure of an evaluation set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file concerned.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A shard cannot be read.
    #[error(transparent)]
    Corpus(#[from] clip_corpus::Error),
    /// The folder is none that is known.
    #[error("{}: {reason}\nhint: known are\n  test/nshards.txt, test/0.tar …, classnames.txt, zeroshot_classification_templates.txt (CLIP_benchmark)\n  CLASS/IMAGE.{{jpg,png,webp}}, also below test/ or val/, optionally classnames.txt", path.display())]
    Layout {
        /// The folder.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// An item that is not what it should be.
    #[error("{} item {key:?}: {reason}", path.display())]
    Item {
        /// The file that holds it.
        path: PathBuf,
        /// Its key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }

    pub(crate) fn layout(path: &Path, reason: impl Into<String>) -> Self {
        Self::Layout { path: path.to_path_buf(), reason: reason.into() }
    }
}

/// The lines of a small text file, stripped; an empty line in the middle is an error.
pub(crate) fn lines(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let lines: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_owned()).collect();
    match lines.iter().position(String::is_empty) {
        Some(at) => Err(Error::layout(path, format!("line {} is empty", at + 1))),
        None => Ok(lines),
    }
}
