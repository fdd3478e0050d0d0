//! Format and size of an image from its header alone.

use crate::guard::guarded;
use crate::jpeg::Jpeg;
use crate::segments::png_chunks;
use crate::{Error, Result, codecs};

/// Formats that are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
    /// GIF, its first frame.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF.
    Tiff,
    /// Netpbm: PBM, PGM, PPM.
    Pnm,
}

impl Format {
    /// The usual file extension.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Gif => "gif",
            Self::Bmp => "bmp",
            Self::Tiff => "tiff",
            Self::Pnm => "ppm",
        }
    }

    /// The format that the first bytes announce.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            [b'G', b'I', b'F', b'8', ..] => Some(Self::Gif),
            [b'B', b'M', ..] => Some(Self::Bmp),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(Self::Tiff),
            [b'P', b'1'..=b'6', b' ' | b'\n' | b'\r' | b'\t', ..] => Some(Self::Pnm),
            _ => None,
        }
    }

    pub(crate) fn of_image_crate(self) -> image::ImageFormat {
        match self {
            Self::Jpeg => image::ImageFormat::Jpeg,
            Self::Png => image::ImageFormat::Png,
            Self::Webp => image::ImageFormat::WebP,
            Self::Gif => image::ImageFormat::Gif,
            Self::Bmp => image::ImageFormat::Bmp,
            Self::Tiff => image::ImageFormat::Tiff,
            Self::Pnm => image::ImageFormat::Pnm,
        }
    }
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The format.
    pub format: Format,
    /// Width in pixels, before any EXIF orientation.
    pub width: u32,
    /// Height in pixels, before any EXIF orientation.
    pub height: u32,
}

/// Reads format and size without decoding.
pub fn probe(bytes: &[u8]) -> Result<Probe> {
    let format = Format::sniff(bytes).ok_or(Error::UnknownFormat)?;
    let (width, height) = guarded(|| match format {
        Format::Jpeg => Ok(Jpeg::open(bytes)?.size()),
        other => codecs::size(bytes, other),
    })?;
    if width == 0 || height == 0 {
        return Err(Error::Decode("no pixels".into()));
    }
    Ok(Probe { format, width, height })
}

/// Whether a file of a format with alpha says that there may be some.
pub fn may_be_transparent(bytes: &[u8]) -> bool {
    match Format::sniff(bytes) {
        // Colour types 4 and 6 have a channel; tRNS gives alpha to the others and comes before the pixels.
        Some(Format::Png) => {
            bytes.get(25).is_some_and(|kind| kind & 4 != 0)
                || png_chunks(bytes)
                    .take_while(|(name, _)| *name != b"IDAT")
                    .any(|(name, _)| name == b"tRNS")
        }
        Some(Format::Webp) => match bytes.get(12..16) {
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
