//! Files that are either whole or absent.

use std::fs::File;
use std::hash::BuildHasher;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::PathError;

type Result<T> = std::result::Result<T, PathError>;

/// This process among all that may write the same file: process numbers repeat over the machines of
/// a cluster.
static WRITER: LazyLock<String> = LazyLock::new(|| {
    let random = std::hash::RandomState::new().hash_one(());
    format!("{}-{random:016x}", std::process::id())
});

/// A name beside `path` that no other writer of it has, in this process or another.
fn temporary(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let (name, number) = (
        path.file_name().unwrap_or_default().to_string_lossy(),
        NEXT.fetch_add(1, Ordering::Relaxed),
    );
    path.with_file_name(format!(".{name}.tmp-{}-{number}", *WRITER))
}

/// A file under a temporary name that takes its own name only when it is whole and on disk.
///
/// Dropped before [`AtomicFile::commit`], it leaves nothing behind. A device or a pipe
/// (`/dev/null`, `/dev/stdout`, a FIFO) is written to as it is: a rename would put a file in its
/// place.
#[derive(Debug)]
pub struct AtomicFile {
    file: Option<File>,
    /// None: written in place, or committed.
    temporary: Option<PathBuf>,
    path: PathBuf,
}

/// Whether `path` names something that must stay what it is. What is in `/dev` and `/proc` may be
/// a link to a file, as `/dev/stdout` is when the output goes to one.
fn is_device(path: &Path, found: &std::fs::Metadata) -> bool {
    !found.is_file() || ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder))
}

impl AtomicFile {
    /// Opens a temporary file beside `path`, making its folder if need be.
    ///
    /// # Errors
    /// When it cannot be opened, or `path` is a folder.
    pub fn create(path: &Path) -> Result<Self> {
        let failed = |e: std::io::Error| PathError::new(path, e);
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                return Err(failed(std::io::ErrorKind::IsADirectory.into()));
            }
            Ok(found) if is_device(path, &found) => {
                let file = File::options().write(true).open(path).map_err(failed)?;
                return Ok(Self { file: Some(file), temporary: None, path: path.to_path_buf() });
            }
            _ => {}
        }
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
        if let Some(parent) = parent {
            std::fs::create_dir_all(parent).map_err(|e| PathError::new(parent, e))?;
        }
        let temporary = temporary(path);
        let file = File::create(&temporary).map_err(|e| PathError::new(&temporary, e))?;
        Ok(Self { file: Some(file), temporary: Some(temporary), path: path.to_path_buf() })
    }

    /// The name that the file will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file, for writers that know their places.
    pub fn handle(&self) -> std::io::Result<File> {
        match &self.file {
            Some(file) => file.try_clone(),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Syncs the content to disk and gives the file its name.
    pub fn commit(&mut self) -> Result<()> {
        let file = self.file.take();
        let Some(temporary) = &self.temporary else { return Ok(()) };
        if let Some(file) = file {
            file.sync_all().map_err(|e| PathError::new(temporary, e))?;
        }
        std::fs::rename(temporary, &self.path).map_err(|e| PathError::new(&self.path, e))?;
        sync_folder(&self.path);
        self.temporary = None;
        Ok(())
    }
}

/// Removes what killed writers left in a folder and those in it. No process may be writing there.
pub fn remove_temporary_files(folder: &Path) -> Result<()> {
    for inner in remove_temporary_files_in(folder)? {
        remove_temporary_files(&inner)?;
    }
    Ok(())
}

/// The same for the files of the folder itself; returns the folders in it.
pub fn remove_temporary_files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|e| PathError::new(folder, e))?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| PathError::new(folder, e))?;
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type().map_err(|e| PathError::new(&path, e))?.is_dir() {
            folders.push(path);
        } else if name.starts_with('.') && name.contains(".tmp-") {
            std::fs::remove_file(&path).map_err(|e| PathError::new(&path, e))?;
        }
    }
    Ok(folders)
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        match &mut self.file {
            Some(file) => file.seek(to),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Nothing to report to: the name was never given.
            let _ = std::fs::remove_file(temporary);
        }
    }
}

/// Writes `bytes` so that `path` holds either the old content or the new, whole.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(|e| PathError::new(path, e))?;
    file.commit()
}

/// Makes `link` a symbolic link to `target`, in place of the one that is there: a reader always
/// finds one, whoever else makes it at the same time.
pub fn link_atomic(target: &Path, link: &Path) -> Result<()> {
    let fresh = temporary(link);
    std::os::unix::fs::symlink(target, &fresh)
        .and_then(|()| std::fs::rename(&fresh, link))
        .map_err(|e| PathError::new(link, e))
}

/// A rename survives a power cut only when its folder is synced; a file system that cannot is no
/// error.
fn sync_folder(path: &Path) {
    if let Some(Ok(folder)) = path.parent().map(File::open) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_file_leaves_nothing_and_a_committed_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.txt");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
        write_atomic(&path, b"whole").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn a_pipe_stays_a_pipe_and_a_folder_is_refused() {
        use std::os::unix::fs::FileTypeExt;
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).unwrap()
        });
        write_atomic(&pipe, b"whole").unwrap();
        assert_eq!(reader.join().unwrap(), b"whole");
        assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());

        let e = AtomicFile::create(folder.path()).unwrap_err().to_string();
        assert!(e.contains(&*folder.path().to_string_lossy()) && e.contains("directory"), "{e}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the pipe alone");
    }

    #[test]
    fn many_make_the_same_file_and_the_same_link_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let [path, link] = ["file", "link"].map(|name| folder.path().join(name));
        let make = || {
            for _ in 0..50 {
                write_atomic(&path, b"whole").unwrap();
                link_atomic(Path::new("file"), &link).unwrap();
                assert_eq!(std::fs::read(&link).unwrap(), b"whole");
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(make))));
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            2,
            "nothing temporary is left"
        );
    }
}
