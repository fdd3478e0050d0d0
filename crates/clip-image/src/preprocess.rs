//! CLIP's evaluation transform up to the pixels: resize the shorter side, crop the centre.

use std::io::Cursor;

use image::{DynamicImage, ImageReader, Limits};

use crate::pillow::{Raster, premultiply, resize_bicubic, resize_nearest, unpremultiply};
use crate::{DecodeOptions, Error, Format, Result, Rgb, decode, probe};

/// torchvision's `Resize(size, BICUBIC)` and `CenterCrop(size)` on a Pillow image, bit for bit (OpenAI CLIP,
/// `clip.py`).
pub fn clip_preprocess(image: &Rgb, size: u32) -> Rgb {
    let (width, height) = (image.width as usize, image.height as usize);
    let raster = Raster { width, height, channels: 3, data: image.data.clone() };
    to_rgb(square(&raster, size as usize, resize_bicubic))
}

/// An encoded image to CLIP's pixels, as open_clip makes them with Pillow: without EXIF's orientation and
/// ICC profiles, with transparency resized premultiplied and then dropped, with palettes resized by nearest pixel.
///
/// # Errors
/// When the bytes are no image, a damaged one, or one of more than 64 million pixels.
pub fn clip_pixels(bytes: &[u8], size: u32) -> Result<Rgb> {
    let options = DecodeOptions::stored();
    let header = probe(bytes)?;
    if header.format == Format::Jpeg {
        return Ok(clip_preprocess(&decode(bytes, &options)?, size));
    }
    if u64::from(header.width) * u64::from(header.height) > options.max_pixels {
        let (width, height, limit) = (header.width, header.height, options.max_pixels);
        return Err(Error::TooLarge { width, height, limit });
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), header.format.of_image_crate());
    let mut limits = Limits::default();
    limits.max_alloc = Some(options.max_pixels.saturating_mul(16));
    reader.limits(limits);
    let image = reader.decode().map_err(|e| Error::Decode(e.to_string()))?;
    if image.width() == 0 || image.height() == 0 {
        return Err(Error::Decode("the image has no pixels".into()));
    }
    let size = size as usize;
    Ok(to_rgb(match mode(bytes, header.format, &image) {
        Mode::Indexed => square(&opaque(image), size, resize_nearest),
        Mode::Opaque => square(&opaque(image), size, resize_bicubic),
        Mode::Transparent => {
            let (width, height) = (image.width() as usize, image.height() as usize);
            let data = image.into_rgba8().into_raw();
            let mut raster = Raster { width, height, channels: 4, data };
            premultiply(&mut raster);
            let mut raster = square(&raster, size, resize_bicubic);
            unpremultiply(&mut raster);
            raster
        }
    }))
}

/// What Pillow would hold the image as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Indexed,
    Opaque,
    Transparent,
}

fn mode(bytes: &[u8], format: Format, image: &DynamicImage) -> Mode {
    // Depth and colour type stand in a PNG's first chunk. Colours that are transparent by a chunk of their own
    // leave an image opaque for Pillow.
    match (format, bytes.get(24..26)) {
        (Format::Gif, _) | (Format::Png, Some([_, 3] | [1, 0])) => Mode::Indexed,
        (Format::Png, Some([_, 0 | 2])) => Mode::Opaque,
        _ if image.color().has_alpha() => Mode::Transparent,
        _ => Mode::Opaque,
    }
}

fn opaque(image: DynamicImage) -> Raster {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let data = match image {
        // Pillow keeps the upper byte.
        DynamicImage::ImageRgb16(image) => image.as_raw().iter().map(|v| (v >> 8) as u8).collect(),
        image => image.into_rgba8().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
    };
    Raster { width, height, channels: 3, data }
}

type Resize = fn(&Raster, usize, usize, (usize, usize, usize, usize)) -> Raster;

fn square(image: &Raster, size: usize, resize: Resize) -> Raster {
    let (w, h) = (image.width, image.height);
    let (width, height) = if w <= h { (size, size * h / w) } else { (size * w / h, size) };
    // Python rounds halves to even.
    let offset = |side: usize| ((side - size) as f64 / 2.0).round_ties_even() as usize;
    resize(image, width, height, (offset(width), offset(height), size, size))
}

fn to_rgb(image: Raster) -> Rgb {
    let (width, height) = (image.width as u32, image.height as u32);
    let data = if image.channels == 3 {
        image.data
    } else {
        image.data.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect()
    };
    Rgb { width, height, data }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode_png;

    #[test]
    fn any_shape_becomes_a_square_of_that_size() {
        for (w, h) in [(1, 1), (640, 480), (480, 641), (3, 900)] {
            let square = clip_preprocess(&Rgb::filled(w, h, [1, 2, 3]), 64);
            assert_eq!(square, Rgb::filled(64, 64, [1, 2, 3]));
        }
    }

    #[test]
    fn encoded_images_have_the_pixels_of_decoded_ones() {
        let data = (0..90u32 * 70 * 3).map(|i| (i * 31 % 253) as u8).collect();
        let image = Rgb { width: 90, height: 70, data };
        let bytes = encode_png(&image).unwrap();
        assert_eq!(clip_pixels(&bytes, 32).unwrap(), clip_preprocess(&image, 32));
        assert!(clip_pixels(&bytes[..60], 32).is_err());
        assert!(clip_pixels(b"", 32).is_err());
    }
}
