//! An image as a corpus has it: a member of a shard, or a file of its own.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use clip_image::{DecodeOptions, Rgb, decode};

use crate::{Error, Result};

/// A file's bytes, if it is a plain file: a pipe would be waited for.
pub(crate) fn read_listed(path: &Path) -> Result<Vec<u8>> {
    let plain = std::fs::metadata(path).map_err(|e| Error::file(path, e))?.is_file();
    if !plain {
        return Err(Error::file(path, "this is no plain file"));
    }
    std::fs::read(path).map_err(|e| Error::file(path, e))
}

/// A member's bytes.
pub(crate) fn read_member(file: &File, path: &Path, offset: u64, size: u32) -> Result<Vec<u8>> {
    let mut bytes = vec![0; size as usize];
    file.read_exact_at(&mut bytes, offset).map_err(|e| Error::io(path, e))?;
    Ok(bytes)
}

/// A member's image; a JPEG at an eighth, a quarter or a half as long as its shorter side keeps
/// `side` pixels.
pub(crate) fn decode_member(bytes: &[u8], side: u32, path: &Path, offset: u64) -> Result<Rgb> {
    let options = DecodeOptions { min_side: Some(side), ..DecodeOptions::stored() };
    let reason = |e: clip_image::Error| format!("the image at byte {offset}: {e}");
    decode(bytes, &options).map_err(|e| Error::file(path, reason(e)))
}
