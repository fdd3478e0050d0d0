//! What can go wrong while a pipeline is planned or run.

use std::path::{Path, PathBuf};

use clip_format::{Classify, ErrorClass, PathError};

/// A failure of a pipeline, naming the stage, file or setting it is about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Stored data or storage failed.
    #[error(transparent)]
    Corpus(#[from] clip_corpus::Error),
    /// `pipeline.toml` is not what it should be; the message has file, line and column.
    #[error("{0}")]
    Config(String),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A stage could not do its work.
    #[error("stage {stage}: {message}")]
    Stage {
        /// The stage's name.
        stage: String,
        /// What happened, with a hint where there is one.
        message: String,
    },
    /// A file of the run that a newer version wrote.
    #[error("{}: format {format}, but this clip-data reads formats up to {known}\nhint: use the clip-data that wrote it, or a newer one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        format: u32,
        /// The newest version that this executable reads.
        known: u32,
    },
    /// A barrier that decided about some of its rows only.
    #[error(
        "stage {stage}: decisions for {found} of {rows} rows\nhint: a query on a cluster that lost a worker may end early; run the same command again"
    )]
    Short {
        /// The stage's name.
        stage: String,
        /// Rows with a decision.
        found: u64,
        /// Rows in all.
        rows: u64,
    },
    /// Another process works on the same run.
    #[error("{}: another clip-data is at work here\nhint: wait for it, or name another folder (of a build, its `name` or `workdir`)", path.display())]
    Locked {
        /// The run's folder.
        path: PathBuf,
    },
    /// Columns that do not fit together.
    #[error("stage {stage}: {source}")]
    Arrow {
        /// The stage's name.
        stage: String,
        /// The cause.
        source: arrow::error::ArrowError,
    },
}

impl Classify for Error {
    fn class(&self) -> Option<ErrorClass> {
        match self {
            Self::Config(_) | Self::Locked { .. } => Some(ErrorClass::Usage),
            // A part that is missing is made again.
            Self::Corpus(clip_corpus::Error::Io(_)) => Some(ErrorClass::Incomplete),
            Self::Corpus(error) => error.class(),
            _ => Some(ErrorClass::Incomplete),
        }
    }
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A stage's own failure.
    pub fn stage(stage: &str, message: impl std::fmt::Display) -> Self {
        Self::Stage { stage: stage.to_owned(), message: message.to_string() }
    }

    /// An I/O failure at a path.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io(PathError::new(path, source))
    }

    /// Columns of a stage that do not fit together.
    pub fn arrow(stage: &str, source: arrow::error::ArrowError) -> Self {
        Self::Arrow { stage: stage.to_owned(), source }
    }
}
