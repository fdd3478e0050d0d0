//! Locks that say who works in a folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// Locks a file, which is made where there is none and keeps its content: shared, or for one
/// process. None where another process has it. The lock ends when the file is dropped.
///
/// With a lock for one process, what killed writers have left beside the file is removed: no other
/// is writing there.
///
/// # Errors
/// When the file cannot be opened, or is a symbolic link: a data set from elsewhere must not lead
/// to another file.
pub fn lock_file(path: &Path, shared: bool) -> Result<Option<File>> {
    if std::fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file()) {
        return Err(Error::new(ErrorKind::InvalidInput, "not a plain file, and never locked"));
    }
    let file = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
    match if shared { file.try_lock_shared() } else { file.try_lock() } {
        Ok(()) => {
            if let Some(folder) = path.parent().filter(|_| !shared) {
                // What cannot be removed does no harm.
                let _ = clip_format::remove_temporary_files_in(folder);
            }
            Ok(Some(file))
        }
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_follows_no_link_and_cuts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join(".lock"));
        std::fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(lock_file(&link, false).is_err());
        let held = lock_file(&target, false).unwrap().unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
        assert!(lock_file(&target, false).unwrap().is_none());
        drop(held);
        assert!(lock_file(&target, true).unwrap().is_some());
    }

    #[test]
    fn who_has_the_folder_alone_removes_what_killed_writers_left() {
        let folder = tempfile::tempdir().unwrap();
        let [lock, left, whole] =
            [".lock", ".00000.tar.tmp-7-00ff", "00000.tar"].map(|name| folder.path().join(name));
        std::fs::write(&left, "half").unwrap();
        std::fs::write(&whole, "whole").unwrap();
        drop(lock_file(&lock, true).unwrap().unwrap());
        assert!(left.exists());
        drop(lock_file(&lock, false).unwrap().unwrap());
        assert!(!left.exists() && whole.exists());
    }
}
