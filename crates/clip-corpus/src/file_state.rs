//! What files are now, without reading them: another state means that they must be read again.

use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::{IoContext, Result};

/// Hash of the names, sizes and times of change of files.
///
/// # Errors
/// When a file is not there.
pub fn file_state<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    for file in files {
        let status = std::fs::metadata(file).at(file)?;
        let changed = status.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let changed = changed.map_or(0, |time| time.as_nanos());
        hasher.update(file.as_os_str().as_encoded_bytes());
        hasher.update(format!("\0{} {changed}\n", status.len()).as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}
