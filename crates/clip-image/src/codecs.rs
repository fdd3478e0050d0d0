//! What is no JPEG: most by the image crate, within bounds.

use std::borrow::Cow;
use std::io::Cursor;

use clip_format::ImageFormat;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use crate::segments::gif_first_frame;
use crate::{Error, Result, avif, jpeg_xl};

/// A colour profile, unpacked, and what else a PNG may have beside its pixels.
const BESIDE_PIXELS: u64 = 16 << 20;

fn fail(error: impl std::fmt::Display) -> Error {
    Error::Decode(error.to_string())
}

/// Width and height of an image that is no JPEG.
pub(crate) fn size(bytes: &[u8], format: ImageFormat) -> Result<(u32, u32)> {
    match format {
        ImageFormat::Avif => return avif::size(bytes),
        ImageFormat::Jxl => return Ok(jpeg_xl::header(bytes)?.size),
        _ => {}
    }
    if format == ImageFormat::Png {
        // The decoder would read all up to the pixels, and unpack it.
        let Some([b'I', b'H', b'D', b'R', w0, w1, w2, w3, h0, h1, h2, h3]) = bytes.get(12..24)
        else {
            return Err(fail("no header"));
        };
        let side = |bytes: [&u8; 4]| u32::from_be_bytes(bytes.map(|byte| *byte));
        return Ok((side([w0, w1, w2, w3]), side([h0, h1, h2, h3])));
    }
    if format == ImageFormat::Gif
        && let Some((width, height)) = grown_canvas(bytes)
    {
        return Ok((u32::from(width), u32::from(height)));
    }
    reader(bytes, format, None)?.into_dimensions().map_err(fail)
}

/// The first frame, with the colour profile of a PNG, WebP, AVIF or JPEG XL.
pub(crate) fn decode(
    bytes: &[u8],
    format: ImageFormat,
    width: u32,
    max_pixels: u64,
) -> Result<(DynamicImage, Option<Vec<u8>>)> {
    match format {
        ImageFormat::Avif => return avif::decode(bytes, max_pixels),
        ImageFormat::Jxl => return jpeg_xl::decode(bytes),
        _ => {}
    }
    let most = match format {
        // What its decoder allocates but for the pixels: chunks as they are in the file, a profile,
        // two rows.
        ImageFormat::Png => bytes.len() as u64 + 16 * u64::from(width) + BESIDE_PIXELS,
        _ => max_pixels.saturating_mul(16),
    };
    let bytes = match format {
        ImageFormat::Gif => with_grown_canvas(bytes),
        _ => Cow::Borrowed(bytes),
    };
    let mut decoder = reader(&bytes, format, Some(most))?.into_decoder().map_err(fail)?;
    let profile = match format {
        ImageFormat::Png | ImageFormat::Webp => decoder.icc_profile().ok().flatten(),
        _ => None,
    };
    Ok((DynamicImage::from_decoder(decoder).map_err(fail)?, profile))
}

/// The canvas of a GIF whose first frame reaches over the one that is announced: it grows then, in
/// Pillow and in browsers.
fn grown_canvas(gif: &[u8]) -> Option<(u16, u16)> {
    let word = |bytes: &[u8], at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let frame = gif_first_frame(gif)?;
    let end = |at: usize| Some(word(frame, at)?.saturating_add(word(frame, at + 4)?));
    let announced = (word(gif, 6)?, word(gif, 8)?);
    let canvas = (announced.0.max(end(0)?), announced.1.max(end(2)?));
    (canvas != announced).then_some(canvas)
}

fn with_grown_canvas(gif: &[u8]) -> Cow<'_, [u8]> {
    let Some((width, height)) = grown_canvas(gif) else { return Cow::Borrowed(gif) };
    let (width, height) = (width.to_le_bytes(), height.to_le_bytes());
    Cow::Owned([&gif[..6], &width, &height, &gif[10..]].concat())
}

fn reader(
    bytes: &[u8],
    format: ImageFormat,
    max_alloc: Option<u64>,
) -> Result<ImageReader<Cursor<&[u8]>>> {
    let known = image_crate_format(format).ok_or_else(|| fail("another decoder's format"))?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), known);
    if max_alloc.is_some() {
        let mut limits = Limits::default();
        limits.max_alloc = max_alloc;
        reader.limits(limits);
    }
    Ok(reader)
}

fn image_crate_format(format: ImageFormat) -> Option<image::ImageFormat> {
    match format {
        ImageFormat::Png => Some(image::ImageFormat::Png),
        ImageFormat::Webp => Some(image::ImageFormat::WebP),
        ImageFormat::Gif => Some(image::ImageFormat::Gif),
        ImageFormat::Bmp => Some(image::ImageFormat::Bmp),
        ImageFormat::Tiff => Some(image::ImageFormat::Tiff),
        ImageFormat::Pnm => Some(image::ImageFormat::Pnm),
        ImageFormat::Jpeg | ImageFormat::Avif | ImageFormat::Jxl => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageHeader, Rgb, encode_png};

    fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut crc = flate2::Crc::new();
        crc.update(name);
        crc.update(body);
        [&(body.len() as u32).to_be_bytes()[..], name, body, &crc.sum().to_be_bytes()].concat()
    }

    /// A PNG with a profile of `len` bytes.
    fn with_profile(len: usize) -> Vec<u8> {
        use std::io::Write;
        let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![0; len]).unwrap();
        let body = [&b"x\0\0"[..], &packer.finish().unwrap()].concat();
        let png = encode_png(&Rgb::filled(8, 8, [1, 2, 3])).unwrap();
        [&png[..33], &chunk(b"iCCP", &body), &png[33..]].concat()
    }

    #[test]
    fn a_profile_is_read_up_to_a_limit_and_costs_no_pixels() {
        for (len, read) in [(3000, Some(3000)), (BESIDE_PIXELS as usize * 2, None)] {
            let png = with_profile(len);
            let header = ImageHeader::read(&png).unwrap();
            assert_eq!((header.width, header.height), (8, 8));
            let (image, profile) =
                decode(header.bytes(), header.format, header.width, 1000).unwrap();
            assert_eq!(profile.map(|profile| profile.len()), read);
            assert_eq!(image.into_rgb8().into_raw(), [1, 2, 3].repeat(64));
        }
    }

    #[test]
    fn a_png_says_its_size_without_being_unpacked() {
        let png = encode_png(&Rgb::filled(8, 9, [1, 2, 3])).unwrap();
        assert_eq!(size(&png[..24], ImageFormat::Png), Ok((8, 9)));
        assert!(size(&png[..23], ImageFormat::Png).is_err());
    }
}
