//! AVIF: the primary image of a file, of AV1 frames (AV1 Image File Format 1.2).

mod container;
mod planes;
mod rgb;

use image::{DynamicImage, RgbImage, RgbaImage};

use self::container::Meta;
use self::planes::Planes;
use self::rgb::{Colours, levels};
use crate::{Error, Result};

pub(crate) use self::container::tiff_header;

/// The size of the image, before it is turned.
pub(crate) fn size(file: &[u8]) -> Result<(u32, u32)> {
    Meta::read(file)?.image_size()
}

/// The EXIF orientation that does what the file says; 1 where it says nothing that can be read.
pub(crate) fn orientation(file: &[u8]) -> u32 {
    Meta::read(file).map_or(1, |meta| meta.orientation())
}

/// Whether the colours are multiplied by alpha already.
pub(crate) fn is_premultiplied(file: &[u8]) -> bool {
    Meta::read(file).is_ok_and(|meta| meta.is_premultiplied())
}

/// The EXIF, from its TIFF header on.
pub(crate) fn exif(file: &[u8]) -> Option<&[u8]> {
    Meta::read(file).ok()?.exif()
}

/// The image, of 8 bits with alpha where it has some, and its colour profile.
pub(crate) fn decode(file: &[u8], max_pixels: u64) -> Result<(DynamicImage, Option<Vec<u8>>)> {
    let meta = Meta::read(file)?;
    let (colour, alpha) = (meta.colour(max_pixels)?, meta.alpha(max_pixels)?);
    let (width, height) = (colour.width, colour.height);
    if alpha.as_ref().is_some_and(|alpha| (alpha.width, alpha.height) != (width, height)) {
        return Err(Error::Decode("AVIF: alpha of another size".into()));
    }
    let planes = Planes::decode(&colour, max_pixels)?;
    let colours = Colours::new(&planes, meta.nclx())?;
    let alpha = alpha.map(|alpha| Planes::decode(&alpha, max_pixels)).transpose()?;
    let channels = if alpha.is_some() { 4 } else { 3 };
    let mut pixels = Vec::with_capacity(width as usize * height as usize * channels);
    for row in 0..height as usize {
        let colours = colours.row(row);
        match &alpha {
            None => pixels.extend(colours.into_iter().flatten()),
            Some(alpha) => {
                let rgba = colours.into_iter().zip(levels(alpha, row));
                pixels.extend(rgba.flat_map(|([r, g, b], a)| [r, g, b, a]));
            }
        }
    }
    let lost = || Error::Decode("AVIF: pixels are missing".into());
    let image = if alpha.is_some() {
        RgbaImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgba8)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    };
    Ok((image.ok_or_else(lost)?, meta.profile().map(<[u8]>::to_vec)))
}
