//! Format and size of an image from its header alone.

use clip_format::ImageFormat;

use crate::guard::guarded;
use crate::jpeg::Jpeg;
use crate::segments::png_chunks;
use crate::{Error, Result, codecs};

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The format.
    pub format: ImageFormat,
    /// Width in pixels, before any EXIF orientation.
    pub width: u32,
    /// Height in pixels, before any EXIF orientation.
    pub height: u32,
}

/// Reads format and size without decoding.
pub fn probe(bytes: &[u8]) -> Result<Probe> {
    let format = ImageFormat::sniff(bytes).ok_or(Error::UnknownFormat)?;
    let (width, height) = guarded(|| match format {
        ImageFormat::Jpeg => Ok(Jpeg::open(bytes)?.size()),
        other => codecs::size(bytes, other),
    })?;
    if width == 0 || height == 0 {
        return Err(Error::Decode("no pixels".into()));
    }
    Ok(Probe { format, width, height })
}

/// Whether a file of a format with alpha says that there may be some.
pub fn may_be_transparent(bytes: &[u8]) -> bool {
    match ImageFormat::sniff(bytes) {
        // Colour types 4 and 6 have a channel; tRNS gives alpha to the others and comes before the
        // pixels.
        Some(ImageFormat::Png) => {
            bytes.get(25).is_some_and(|kind| kind & 4 != 0)
                || png_chunks(bytes)
                    .take_while(|(name, _)| *name != b"IDAT")
                    .any(|(name, _)| name == b"tRNS")
        }
        Some(ImageFormat::Webp) => match bytes.get(12..16) {
            Some(b"VP8X") => bytes.get(20).is_some_and(|flags| flags & 0x10 != 0),
            Some(b"VP8L") => bytes.get(24).is_some_and(|bits| bits & 0x10 != 0),
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rgb, encode_png};

    #[test]
    fn transparency_is_found_behind_a_chunk_of_any_length() {
        let png = encode_png(&Rgb::filled(10, 8, [9, 90, 9])).unwrap();
        assert!(!may_be_transparent(&png));
        let mut rgba = png.clone();
        rgba[25] = 6;
        assert!(may_be_transparent(&rgba));
        // Neither checksums nor the bodies of these chunks are looked at.
        let long = [b"\0\0\x27\x10iCCP", &[0; 10_004][..]].concat();
        let keyed =
            [&png[..33], &long, b"\0\0\0\x06tRNS\0\x09\0\x5a\0\x09....", &png[33..]].concat();
        assert!(may_be_transparent(&keyed));
    }
}
