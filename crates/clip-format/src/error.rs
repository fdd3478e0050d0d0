//! Errors that name the file that they are about.

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

/// What is wrong with a file or folder, or with what it holds.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong.
    pub reason: String,
}

impl FileError {
    /// A reason at a path.
    pub fn new(path: impl Into<PathBuf>, reason: impl std::fmt::Display) -> Self {
        Self { path: path.into(), reason: reason.to_string() }
    }
}

/// Gives an error with the variants `Io(PathError)` and `File(FileError)` the constructors `io` and
/// `file`.
#[macro_export]
macro_rules! path_errors {
    ($error:ty) => {
        impl $error {
            pub(crate) fn io(path: &std::path::Path, source: std::io::Error) -> Self {
                Self::Io($crate::PathError::new(path, source))
            }

            pub(crate) fn file(path: &std::path::Path, reason: impl std::fmt::Display) -> Self {
                Self::File($crate::FileError::new(path, reason))
            }
        }
    };
}

/// Whether an error says, at any depth of libraries that wrap it, that a disk takes nothing: it is
/// full or read-only, a quota is used up, or a file is as long as it may be. Trying again does not
/// help.
pub fn is_disk_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            if [FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull].contains(&io.kind()) {
                return true;
            }
            // `source` skips the error that this one holds.
            if let Some(inner) = io.get_ref() {
                return is_disk_refusal(inner);
            }
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_one_whatever_wraps_it() {
        use std::io::{Error, ErrorKind};
        let full = || Error::from(ErrorKind::StorageFull);
        assert!(is_disk_refusal(&full()));
        assert!(is_disk_refusal(&Error::other(Error::other(full()))));
        assert!(is_disk_refusal(&PathError::new(std::path::Path::new("a"), full())));
        assert!(!is_disk_refusal(&Error::from(ErrorKind::NotFound)));
    }
}
