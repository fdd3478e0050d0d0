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
pub(crate) fn decode_member(
    bytes: &[u8],
    side: Option<u32>,
    path: &Path,
    offset: u64,
) -> Result<Rgb> {
    let options = DecodeOptions { min_side: side, ..DecodeOptions::stored() };
    let reason = |e: clip_image::Error| format!("the image at byte {offset}: {e}");
    decode(bytes, &options).map_err(|e| Error::file(path, reason(e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jpeg_is_decoded_at_a_fraction_only_where_a_side_is_named() {
        let image = Rgb::filled(64, 64, [9, 8, 7]);
        let bytes = clip_image::encode_jpeg(&image, 95).unwrap();
        let width = |side| decode_member(&bytes, side, Path::new("x"), 0).unwrap().width;
        assert_eq!([width(Some(16)), width(Some(40)), width(None)], [16, 64, 64]);
    }
}
