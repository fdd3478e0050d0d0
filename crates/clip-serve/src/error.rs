//! What can go wrong while pages are served.

use std::io::ErrorKind;
use std::path::PathBuf;

use clip_format::{Classify, ErrorClass};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is there to serve.
    #[error("{}: {reason}\nhint: give runs, folders of shards or Parquet tables, training runs (logs/NAME), or a folder of those", path.display())]
    Root {
        /// What was to be served.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The port or the token could not be had.
    #[error("{what}: {source}{}", if is_taken(source) { "\nhint: another --port" } else { "" })]
    Listen {
        /// What was asked for.
        what: String,
        /// The cause.
        source: std::io::Error,
    },
    /// There is no such page, or what it is about is not below what is served.
    #[error("{0}")]
    NotFound(String),
    /// A request that means nothing.
    #[error("{0}")]
    BadRequest(String),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] clip_format::PathError),
    /// Stored data failed.
    #[error(transparent)]
    Corpus(#[from] clip_corpus::Error),
    /// A run could not be read, or a condition means nothing.
    #[error(transparent)]
    Pipeline(#[from] clip_pipeline::Error),
    /// A query failed.
    #[error(transparent)]
    Sql(#[from] clip_sql::Error),
    /// A report on contamination or the decisions on it could not be read or written.
    #[error(transparent)]
    Overlap(#[from] clip_overlap::Error),
    /// An evaluation set could not be read.
    #[error(transparent)]
    Dataset(#[from] clip_datasets::Error),
    /// A part of a page could not be made.
    #[error(transparent)]
    Report(#[from] clip_report::Error),
}

impl Classify for Error {
    fn class(&self) -> Option<ErrorClass> {
        match self {
            Self::Root { .. } | Self::NotFound(_) | Self::BadRequest(_) => Some(ErrorClass::Usage),
            // Another port is asked for then.
            Self::Listen { source, .. } if is_taken(source) => Some(ErrorClass::Usage),
            Self::Listen { .. } => Some(ErrorClass::Environment),
            Self::Corpus(error) => error.class(),
            Self::Pipeline(error) => error.class(),
            Self::Sql(error) => error.class(),
            Self::Report(error) => error.class(),
            Self::Overlap(error) => error.class(),
            Self::Io(_) | Self::Dataset(_) => None,
        }
    }
}

/// Whether a port is another process's, or not for this user.
pub(crate) fn is_taken(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied)
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// That a page is about something that is not there.
    pub(crate) fn absent(what: impl std::fmt::Display) -> Self {
        Self::NotFound(format!("{what} is not here"))
    }
}
