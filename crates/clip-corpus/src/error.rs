//! What can go wrong with files of a corpus.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clip_format::{Classify, ErrorClass, FileKind, PathError};

/// A failure of stored data or of the storage under it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A Parquet file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Parquet {
        /// The file concerned.
        path: PathBuf,
        /// The cause.
        source: parquet::errors::ParquetError,
    },
    /// Columns that do not fit together.
    #[error("{}: {source}", path.display())]
    Arrow {
        /// The file concerned.
        path: PathBuf,
        /// The cause.
        source: arrow::error::ArrowError,
    },
    /// A line of a manifest that is not ours.
    #[error("{} line {line}: {source}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The cause.
        source: serde_json::Error,
    },
    /// A shard that breaks the WebDataset rules.
    #[error("{} sample {key:?}: {reason}", path.display())]
    Sample {
        /// The shard.
        path: PathBuf,
        /// The sample's key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two samples of a shard that have the same key.
    #[error("{} sample {key:?}: the key is in the shard twice, at byte {first} and again at byte {again}\nhint: the files of a sample follow each other in a shard, as `tar --sort=name` writes them", path.display())]
    DuplicateKey {
        /// The shard.
        path: PathBuf,
        /// The key.
        key: String,
        /// Offset of the content of the first sample's first member, in bytes.
        first: u64,
        /// The same of the second sample.
        again: u64,
    },
    /// A file of another kind than is wanted.
    #[error("{}: {kind}, not {wanted}\n{hint}", path.display())]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: FileKind,
        /// What it should be.
        wanted: &'static str,
        /// What to do about it.
        hint: &'static str,
    },
    /// A file whose content is not what its manifest says.
    #[error("{}: {reason}\nhint: the file was changed or cut after it was written: get it again; where a build wrote it, remove it, and `clip-data build` writes it anew", path.display())]
    Damaged {
        /// The file concerned.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// A shard that is not in its folder any more.
    #[error("{}: {reason}\nhint: get it again; to go without it, remove what is left of it, or name the other shards", path.display())]
    Gone {
        /// Its tar.
        path: PathBuf,
        /// What is left of it.
        reason: String,
    },
    /// A shard specification that names nothing.
    #[error("{spec}: {reason}")]
    Spec {
        /// The specification as given.
        spec: String,
        /// Why it cannot be expanded.
        reason: String,
    },
}

impl Error {
    /// Whether something that was stored is not what it was.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. }
                | Self::Gone { .. }
                | Self::Manifest { .. }
                | Self::Parquet { .. }
                | Self::Sample { .. }
                | Self::DuplicateKey { .. }
        )
    }

    /// Whether what was asked for cannot be: another file or specification is meant.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Spec { .. } | Self::WrongKind { .. } => true,
            // No file comes of running again.
            Self::Io(error) => error.source.kind() == ErrorKind::NotFound,
            _ => false,
        }
    }
}

impl Classify for Error {
    fn class(&self) -> Option<ErrorClass> {
        Some(match self {
            error if error.is_damage() => ErrorClass::Damaged,
            error if error.is_usage() => ErrorClass::Usage,
            _ => ErrorClass::Incomplete,
        })
    }
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Attaches the path to an I/O or Parquet failure.
pub trait IoContext<T> {
    /// Names the file that the failure is about.
    fn at(self, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io(PathError::new(path, source)))
    }
}

impl<T> IoContext<T> for std::result::Result<T, parquet::errors::ParquetError> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Parquet { path: path.to_path_buf(), source })
    }
}

impl<T> IoContext<T> for std::result::Result<T, arrow::error::ArrowError> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Arrow { path: path.to_path_buf(), source })
    }
}
