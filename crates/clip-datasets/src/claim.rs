//! Sizes that files of evaluation sets claim, as errors that name the file.

use std::path::Path;

use crate::{Error, Result};

/// Bytes of an array with these sizes and this many bytes a value, which a file claims to hold.
pub(crate) fn claimed(path: &Path, packed: bool, sizes: &[u64], each: u64) -> Result<u64> {
    let room = clip_guard::room(path, packed).map_err(|e| Error::io(path, e))?;
    clip_guard::claim(sizes, each, room).map_err(|reason| Error::file(path, reason))
}
