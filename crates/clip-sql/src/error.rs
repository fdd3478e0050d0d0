//! What can go wrong with queries over parts.

use std::path::Path;

use clip_format::{Classify, ErrorClass, PathError};

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;

/// A failure of a query, naming the query, table or file it is about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A query's file does not say what it is, or says it wrongly.
    #[error("{name}: {reason}")]
    Header {
        /// The query.
        name: String,
        /// What is wrong with its header.
        reason: String,
    },
    /// A table lacks a column that the query reads.
    #[error(
        "{query}: table `{table}` has no column `{column}`\nhint: has the stage that adds it run?"
    )]
    Column {
        /// The query.
        query: String,
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A table without any file.
    #[error("{table}: no Parquet file is there")]
    NoParts {
        /// The table.
        table: String,
    },
    /// DataFusion failed.
    #[error("{name}: {source}")]
    Query {
        /// The query, or the first words of it.
        name: String,
        /// The cause.
        source: Box<DataFusionError>,
    },
    /// A condition that a user wrote cannot be asked of these rows.
    #[error("condition {condition:?}: {reason}")]
    Condition {
        /// The condition.
        condition: String,
        /// Why, with a hint where there is one.
        reason: String,
    },
    /// A result is not what the header promises.
    #[error("{name}: {reason}")]
    Result {
        /// The query.
        name: String,
        /// What differs.
        reason: String,
    },
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] PathError),
    /// Stored data failed.
    #[error(transparent)]
    Corpus(#[from] clip_corpus::Error),
    /// What takes the decisions failed, or the engine that ran the query.
    #[error(transparent)]
    Pipeline(#[from] clip_pipeline::Error),
}

impl Classify for Error {
    fn class(&self) -> Option<ErrorClass> {
        self.is_damage().then_some(ErrorClass::Damaged)
    }
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether a table that was read is damaged: its bytes, or a panic of what reads them.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Corpus(error) => error.is_damage(),
            Self::Query { source, .. } => match source.find_root() {
                DataFusionError::ParquetError(_) | DataFusionError::ExecutionJoin(_) => true,
                DataFusionError::ArrowError(error, _) => {
                    matches!(**error, ArrowError::ParquetError(_))
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// As a failure of a stage; what is damaged or was refused stays that.
    pub fn into_stage_error(self, stage: &str) -> clip_pipeline::Error {
        match self {
            Self::Pipeline(error) => error,
            Self::Corpus(error) => error.into(),
            Self::Io(error) => error.into(),
            error @ Self::Condition { .. } => {
                clip_pipeline::Error::Config(format!("[{stage}]: {error}"))
            }
            error => clip_pipeline::Error::stage(stage, error),
        }
    }

    pub(crate) fn condition(condition: &str, reason: String) -> Self {
        Self::Condition { condition: condition.to_owned(), reason }
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io(PathError::new(path, source))
    }

    pub(crate) fn header(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::Header { name: name.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn result(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::Result { name: name.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn query(name: &str, source: DataFusionError) -> Self {
        Self::Query { name: name.to_owned(), source: Box::new(source) }
    }
}
