//! Format and size of an image from its header alone.

use std::io::Cursor;

use crate::segments::may_hold_exif;
use crate::{Error, Result};

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
    let (width, height) = match format {
        Format::Jpeg => {
            let header = turbojpeg::read_header(bytes).map_err(|e| Error::Decode(e.to_string()))?;
            (header.width as u32, header.height as u32)
        }
        other => image::ImageReader::with_format(Cursor::new(bytes), other.of_image_crate())
            .into_dimensions()
            .map_err(|e| Error::Decode(e.to_string()))?,
    };
    if width == 0 || height == 0 {
        return Err(Error::Decode("no pixels".into()));
    }
    Ok(Probe { format, width, height })
}

/// EXIF orientation, 1 to 8; 1 where there is none.
pub fn orientation(bytes: &[u8]) -> u32 {
    if !may_hold_exif(bytes) {
        return 1;
    }
    let reader = exif::Reader::new();
    let Ok(exif) = reader.read_from_container(&mut Cursor::new(bytes)) else { return 1 };
    exif.get_field(exif::Tag::Orientation, exif::In::PRIMARY)
        .and_then(|field| field.value.get_uint(0))
        .filter(|value| (1..=8).contains(value))
        .unwrap_or(1)
}
