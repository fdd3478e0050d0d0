//! Files for readers that want a path.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::must;

/// In memory where there is such a file system: a target runs thousands of times a second.
fn base() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() }
}

/// Calls `read` with a new folder that holds the files, and removes it.
pub(crate) fn with_files<T>(files: &[(&str, &[u8])], read: impl FnOnce(&Path) -> T) -> T {
    let folder = must(tempfile::Builder::new().prefix("clip-fuzz-").tempdir_in(base()));
    for (name, bytes) in files {
        let path = folder.path().join(name);
        if let Some(parent) = path.parent().filter(|parent| *parent != folder.path()) {
            must(std::fs::create_dir_all(parent));
        }
        must(std::fs::write(&path, bytes));
    }
    read(folder.path())
}

/// A gzip member without compression, so that a mutation of the content is one of the file.
pub(crate) fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::none());
    must(writer.write_all(content));
    must(writer.finish())
}
