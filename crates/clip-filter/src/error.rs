//! What can go wrong while a pool is filtered.

use std::path::{Path, PathBuf};

use clip_format::{Classify, ErrorClass};

/// A failure of a pool, of what it is filtered by, or of the subset file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings that do not fit together, or a pool that lacks what they need.
    #[error("{0}")]
    Settings(String),
    /// A file of the pool, or one that it is filtered by, with content that cannot be right.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file concerned.
        path: PathBuf,
        /// What is wrong with it, and in which row.
        reason: String,
    },
    /// The run was asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A table failed.
    #[error(transparent)]
    Corpus(#[from] clip_corpus::Error),
    /// A query failed.
    #[error(transparent)]
    Sql(#[from] clip_sql::Error),
    /// The language model failed.
    #[error(transparent)]
    Text(#[from] clip_text::Error),
    /// WordNet failed.
    #[error(transparent)]
    Wordnet(#[from] clip_query::Error),
}

impl Classify for Error {
    fn class(&self) -> Option<ErrorClass> {
        Some(match self {
            error if error.is_damage() => ErrorClass::Damaged,
            Self::Corpus(error) => return error.class(),
            _ => ErrorClass::Usage,
        })
    }
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether something that was stored is not what it was.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Corpus(error) => error.is_damage(),
            Self::Sql(error) => error.is_damage(),
            _ => false,
        }
    }

    /// As a failure of a stage; what is damaged stays that.
    pub(crate) fn into_stage_error(self, stage: &str) -> clip_pipeline::Error {
        match self {
            Self::Sql(error) => error.into_stage_error(stage),
            Self::Corpus(error) => error.into(),
            Self::Damaged { path, reason } => clip_corpus::Error::Damaged { path, reason }.into(),
            error @ Self::Settings(_) => {
                clip_pipeline::Error::Config(format!("[{stage}]: {error}"))
            }
            error => clip_pipeline::Error::stage(stage, error),
        }
    }

    pub(crate) fn damaged(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Damaged { path: path.to_path_buf(), reason: reason.to_string() }
    }
}
