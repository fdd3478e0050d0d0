//! Format, size, EXIF and transparency of an image, from its header alone.

use std::cell::OnceCell;

use clip_format::ImageFormat;

use crate::exif::Exif;
use crate::guard::guarded;
use crate::jpeg::Jpeg;
use crate::segments::png_chunks;
use crate::{Error, Result, avif, codecs, jpeg_xl};

/// An encoded image of which the header was read, once for all that is asked of it.
pub struct ImageHeader<'a> {
    /// The format.
    pub format: ImageFormat,
    /// Width in pixels, before any EXIF orientation.
    pub width: u32,
    /// Height in pixels, before any EXIF orientation.
    pub height: u32,
    bytes: &'a [u8],
    exif: OnceCell<Option<Exif<'a>>>,
    jpeg: Option<Jpeg<'a>>,
}

impl<'a> ImageHeader<'a> {
    /// Reads format and size, and decodes nothing.
    ///
    /// # Errors
    /// When the bytes are no image, or one without pixels.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let unknown =
            || ImageFormat::undecoded(bytes).map_or(Error::UnknownFormat, Error::Undecoded);
        let format = ImageFormat::sniff(bytes).ok_or_else(unknown)?;
        let (jpeg, (width, height)) = guarded(|| match format {
            ImageFormat::Jpeg => {
                let jpeg = Jpeg::open(bytes)?;
                let size = jpeg.size();
                Ok((Some(jpeg), size))
            }
            other => Ok((None, codecs::size(bytes, other)?)),
        })?;
        if width == 0 || height == 0 {
            return Err(Error::Decode("no pixels".into()));
        }
        Ok(Self { format, width, height, bytes, exif: OnceCell::new(), jpeg })
    }

    /// The encoded image.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its EXIF, if it has some.
    pub fn exif(&self) -> Option<Exif<'a>> {
        *self.exif.get_or_init(|| Exif::within(self.bytes, self.format))
    }

    /// Its orientation as EXIF numbers it, 1 to 8; 1 where there is none. AVIF and JPEG XL have one
    /// of their own, beside which EXIF's does not count.
    pub fn orientation(&self) -> u32 {
        match self.format {
            ImageFormat::Avif => avif::orientation(self.bytes),
            ImageFormat::Jxl => jpeg_xl::header(self.bytes).map_or(1, |header| header.orientation),
            _ => self.exif().map_or(1, |exif| exif.orientation()),
        }
    }

    /// What a JPEG is decoded with: made when its header was read.
    pub(crate) fn take_jpeg(&mut self) -> Result<Jpeg<'a>> {
        self.jpeg.take().map_or_else(|| Jpeg::open(self.bytes), Ok)
    }

    /// Whether a file of a format with alpha says that there may be some.
    pub fn may_be_transparent(&self) -> bool {
        let bytes = self.bytes;
        match self.format {
            // Colour types 4 and 6 have a channel; tRNS gives alpha to the others and comes before
            // the pixels.
            ImageFormat::Png => {
                bytes.get(25).is_some_and(|kind| kind & 4 != 0)
                    || png_chunks(bytes)
                        .take_while(|(name, _)| *name != b"IDAT")
                        .any(|(name, _)| name == b"tRNS")
            }
            ImageFormat::Webp => match bytes.get(12..16) {
                Some(b"VP8X") => bytes.get(20).is_some_and(|flags| flags & 0x10 != 0),
                Some(b"VP8L") => bytes.get(24).is_some_and(|bits| bits & 0x10 != 0),
                _ => false,
            },
            _ => false,
        }
    }
}

impl std::fmt::Debug for ImageHeader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Self { format, width, height, .. } = self;
        write!(f, "{format:?} {width}x{height}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rgb, encode_png};

    #[test]
    fn transparency_is_found_behind_a_chunk_of_any_length() {
        let png = encode_png(&Rgb::filled(10, 8, [9, 90, 9])).unwrap();
        let may_be_transparent =
            |bytes: &[u8]| ImageHeader::read(bytes).unwrap().may_be_transparent();
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
