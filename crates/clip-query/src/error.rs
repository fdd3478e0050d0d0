//! What can go wrong with query lists.

use std::path::{Path, PathBuf};

use clip_format::{FileError, PathError};

/// A failure of a query list or of what it is built from.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A file that is not what it should be.
    #[error("{} line {line}: {reason}", path.display())]
    Line {
        /// The file concerned.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A file that is not what it should be, as a whole.
    #[error("{}: {reason}\nhint: {hint}", path.display())]
    File {
        /// The file concerned.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What helps.
        hint: &'static str,
    },
    /// A table that cannot be written.
    #[error(transparent)]
    Table(#[from] FileError),
    /// A table that cannot be read.
    #[error(transparent)]
    Corpus(#[from] clip_corpus::Error),
    /// Nothing can be matched with the list.
    #[error("the query list cannot be matched: {0}")]
    Matcher(String),
    /// Nothing can be matched with the list of a language.
    #[error("the query list of {language} cannot be matched: {reason}")]
    LanguageMatcher {
        /// The language.
        language: String,
        /// Why.
        reason: String,
    },
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The same failure, with the language of the list.
    pub(crate) fn of_language(self, language: &str) -> Self {
        match self {
            Self::Matcher(reason) if !language.is_empty() => {
                Self::LanguageMatcher { language: language.to_owned(), reason }
            }
            error => error,
        }
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io(PathError::new(path, source))
    }

    pub(crate) fn line(path: &Path, line: usize, reason: impl Into<String>) -> Self {
        Self::Line { path: path.to_path_buf(), line, reason: reason.into() }
    }

    pub(crate) fn file(path: &Path, reason: impl Into<String>, hint: &'static str) -> Self {
        Self::File { path: path.to_path_buf(), reason: reason.into(), hint }
    }

    pub(crate) fn table(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Table(FileError::new(path, reason))
    }
}
