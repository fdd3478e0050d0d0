//! Bytes to pixels, as Pillow and browsers see them: libjpeg-turbo for JPEG, rav1d for AVIF, jxl-rs
//! for JPEG XL, the image crate for the rest.

use clip_format::ImageFormat;
use image::{DynamicImage, ImageBuffer, Pixel};

use crate::{Error, ImageHeader, Result, Rgb, avif, codecs, guard, icc};

/// How to decode.
#[derive(Debug, Clone, Copy)]
pub struct DecodeOptions {
    /// Most pixels that a header may announce.
    pub max_pixels: u64,
    /// Whether EXIF orientation is applied.
    pub orient: bool,
    /// Whether an ICC profile is applied, so that the pixels are sRGB.
    pub icc: bool,
    /// Where set, a JPEG may be decoded at 1/2, 1/4 or 1/8 as long as its shorter side keeps so
    /// many pixels.
    pub min_side: Option<u32>,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { max_pixels: 64_000_000, orient: true, icc: true, min_side: None }
    }
}

impl DecodeOptions {
    /// The pixels as they are stored, as Pillow and OpenCV give them to the field's tools: neither
    /// turned by EXIF nor converted by an ICC profile.
    #[must_use]
    pub fn stored() -> Self {
        Self { orient: false, icc: false, ..Self::default() }
    }
}

/// Decodes the first frame to RGB: alpha over white, grey and CMYK converted, of 16 bits the upper
/// 8.
///
/// # Errors
/// [`Error::TooLarge`] before any pixel is decoded, [`Error::Decode`] for an image that is cut off,
/// and for one at which the decoder panicked.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Rgb> {
    ImageHeader::read(bytes)?.decode(options)
}

impl ImageHeader<'_> {
    /// Decodes as [`decode`] does, without reading the header again.
    ///
    /// # Errors
    /// As those of [`decode`].
    pub fn decode(&mut self, options: &DecodeOptions) -> Result<Rgb> {
        options.check((self.width, self.height))?;
        guard::guarded(|| {
            let image = if self.format == ImageFormat::Jpeg {
                let profile = options.icc.then(|| icc::of_jpeg(self.bytes())).flatten();
                self.take_jpeg()?.decode(options.min_side, profile.as_deref())?
            } else {
                let (image, profile) =
                    codecs::decode(self.bytes(), self.format, self.width, options.max_pixels)?;
                let image = over_white(image, Alpha::of(self));
                let profile = profile.filter(|_| options.icc);
                match profile.and_then(|profile| icc::to_srgb(&image.data, 3, &profile)) {
                    Some(data) => Rgb { data, ..image },
                    None => image,
                }
            };
            Ok(if options.orient { upright(image, self.orientation()) } else { image })
        })
    }
}

impl DecodeOptions {
    fn check(&self, (width, height): (u32, u32)) -> Result<()> {
        let limit = self.max_pixels;
        if u64::from(width) * u64::from(height) > limit {
            return Err(Error::TooLarge { width, height, limit });
        }
        Ok(())
    }
}

/// What a channel after the colours means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alpha {
    /// How much of the colour covers what is below.
    Straight,
    /// The same, and the colour is multiplied by it already.
    Premultiplied,
    /// The same, but where no pixel has any, the channel was not meant.
    Perhaps,
    /// Something else.
    Ignored,
}

impl Alpha {
    /// A TIFF says it in its tag `ExtraSamples`.
    fn of(header: &ImageHeader) -> Self {
        const EXTRA_SAMPLES: u16 = 0x0152;
        match header.format {
            ImageFormat::Tiff => match header.exif().and_then(|exif| exif.image_tag(EXTRA_SAMPLES))
            {
                Some(0) => Self::Ignored,
                Some(1) => Self::Premultiplied,
                _ => Self::Straight,
            },
            ImageFormat::Avif if avif::is_premultiplied(header.bytes()) => Self::Premultiplied,
            // As browsers have it: many programs leave the channel empty.
            ImageFormat::Bmp => Self::Perhaps,
            _ => Self::Straight,
        }
    }

    fn unless_all_are_transparent(self, rgba: &[u8]) -> Self {
        match self {
            Self::Perhaps if rgba.as_chunks().0.iter().all(|[_, _, _, a]| *a == 0) => Self::Ignored,
            alpha => alpha,
        }
    }

    /// A level of colour over white.
    fn over_white(self, colour: u8, alpha: u8) -> u8 {
        let (colour, alpha) = (u32::from(colour), u32::from(alpha));
        let level = match self {
            Self::Straight | Self::Perhaps => (colour * alpha + 255 * (255 - alpha) + 127) / 255,
            Self::Premultiplied => (colour + 255 - alpha).min(255),
            Self::Ignored => colour,
        };
        level as u8
    }
}

fn over_white(image: DynamicImage, alpha: Alpha) -> Rgb {
    let image = eight_bits(image);
    let (width, height) = (image.width(), image.height());
    if !image.color().has_alpha() {
        return Rgb { width, height, data: image.into_rgb8().into_raw() };
    }
    let rgba = image.into_rgba8().into_raw();
    let alpha = alpha.unless_all_are_transparent(&rgba);
    let mut data = Vec::with_capacity(rgba.len() / 4 * 3);
    for [r, g, b, a] in rgba.as_chunks().0 {
        data.extend([r, g, b].map(|&colour| alpha.over_white(colour, *a)));
    }
    Rgb { width, height, data }
}

/// Of 16 bits, the upper 8: as Pillow and OpenCV take them.
fn eight_bits(image: DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageLuma16(image) => DynamicImage::ImageLuma8(upper(&image)),
        DynamicImage::ImageLumaA16(image) => DynamicImage::ImageLumaA8(upper(&image)),
        DynamicImage::ImageRgb16(image) => DynamicImage::ImageRgb8(upper(&image)),
        DynamicImage::ImageRgba16(image) => DynamicImage::ImageRgba8(upper(&image)),
        image => image,
    }
}

fn upper<P, Q>(image: &ImageBuffer<P, Vec<u16>>) -> ImageBuffer<Q, Vec<u8>>
where
    P: Pixel<Subpixel = u16>,
    Q: Pixel<Subpixel = u8>,
{
    let (width, height) = image.dimensions();
    let data = image.as_raw().iter().map(|value| (value >> 8) as u8).collect();
    // Both have the same number of channels.
    ImageBuffer::from_raw(width, height, data).unwrap_or_else(|| ImageBuffer::new(width, height))
}

/// Undoes an EXIF orientation.
fn upright(image: Rgb, orientation: u32) -> Rgb {
    if orientation == 1 {
        return image;
    }
    let (w, h) = (image.width, image.height);
    let turned = orientation >= 5;
    let (width, height) = if turned { (h, w) } else { (w, h) };
    let mut data = Vec::with_capacity(image.data.len());
    for y in 0..height {
        for x in 0..width {
            let (sx, sy) = match orientation {
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (y, h - 1 - x),
                7 => (w - 1 - y, h - 1 - x),
                _ => (w - 1 - y, x),
            };
            data.extend_from_slice(&image.row(sy)[sx as usize * 3..][..3]);
        }
    }
    Rgb { width, height, data }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode_png;

    fn ramp(width: u32, height: u32) -> Rgb {
        let pixel = |i: u32| [(i % width * 5) as u8, (i / width * 7) as u8, 90];
        Rgb { width, height, data: (0..width * height).flat_map(pixel).collect() }
    }

    #[test]
    fn orientations_move_the_first_pixel_to_its_corner() {
        let image = ramp(3, 2);
        for (value, width, at) in
            [(2, 3, 2), (3, 3, 5), (4, 3, 3), (5, 2, 0), (6, 2, 1), (7, 2, 5), (8, 2, 4)]
        {
            let turned = upright(image.clone(), value);
            assert_eq!(turned.width, width, "orientation {value}");
            assert_eq!(turned.data[at * 3..][..3], image.data[..3], "orientation {value}");
        }
    }

    #[test]
    fn bombs_are_refused_before_they_are_decoded() {
        let bytes = encode_png(&ramp(100, 100)).unwrap();
        let options = DecodeOptions { max_pixels: 9_999, ..Default::default() };
        assert!(matches!(decode(&bytes, &options), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn bytes_that_are_cut_or_foreign_are_errors() {
        let bytes = encode_png(&ramp(50, 50)).unwrap();
        assert!(matches!(
            decode(&bytes[..bytes.len() / 2], &DecodeOptions::default()),
            Err(Error::Decode(_))
        ));
        assert_eq!(decode(b"<html>", &DecodeOptions::default()), Err(Error::UnknownFormat));
        assert_eq!(decode(b"", &DecodeOptions::default()), Err(Error::UnknownFormat));
    }
}
