//! Bytes to pixels: libjpeg-turbo for JPEG (Pillow's pixels), the image crate for the rest.

use std::io::Cursor;

use image::{DynamicImage, ImageReader, Limits};

use crate::{Error, Format, Result, Rgb, icc, orientation, probe};

/// How to decode.
#[derive(Debug, Clone, Copy)]
pub struct DecodeOptions {
    /// Most pixels that a header may announce.
    pub max_pixels: u64,
    /// Whether EXIF orientation is applied.
    pub orient: bool,
    /// Whether an ICC profile is applied, so that the pixels are sRGB.
    pub icc: bool,
    /// Where set, a JPEG may be decoded at 1/2, 1/4 or 1/8 as long as its shorter side keeps so many pixels.
    pub min_side: Option<u32>,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { max_pixels: 64_000_000, orient: true, icc: true, min_side: None }
    }
}

impl DecodeOptions {
    /// The pixels as they are stored, as Pillow and OpenCV give them to the field's tools: neither turned by EXIF
    /// nor converted by an ICC profile.
    #[must_use]
    pub fn stored() -> Self {
        Self { orient: false, icc: false, ..Self::default() }
    }
}

/// Decodes the first frame to RGB: alpha over white, grey and CMYK converted, 16 bits to 8.
///
/// # Errors
/// [`Error::TooLarge`] before any pixel is decoded, [`Error::Decode`] for a picture that is cut off.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Rgb> {
    let header = probe(bytes)?;
    if u64::from(header.width) * u64::from(header.height) > options.max_pixels {
        let (width, height, limit) = (header.width, header.height, options.max_pixels);
        return Err(Error::TooLarge { width, height, limit });
    }
    let profile = options.icc.then(|| icc::profile(bytes, header.format)).flatten();
    let mut image = match header.format {
        Format::Jpeg => decode_jpeg(bytes, options.min_side, profile.as_deref())?,
        format => {
            let mut reader = ImageReader::with_format(Cursor::new(bytes), format.of_image_crate());
            let mut limits = Limits::default();
            limits.max_alloc = Some(options.max_pixels.saturating_mul(16));
            reader.limits(limits);
            over_white(reader.decode().map_err(|e| Error::Decode(e.to_string()))?)
        }
    };
    if header.format != Format::Jpeg
        && let Some(data) = profile.and_then(|profile| icc::to_srgb(&image.data, 3, &profile))
    {
        image.data = data;
    }
    Ok(if options.orient { upright(image, orientation(bytes)) } else { image })
}

fn decode_jpeg(bytes: &[u8], min_side: Option<u32>, profile: Option<&[u8]>) -> Result<Rgb> {
    let fail = |e: turbojpeg::Error| Error::Decode(e.to_string());
    let mut decompressor = turbojpeg::Decompressor::new().map_err(fail)?;
    let header = decompressor.read_header(bytes).map_err(fail)?;
    let shorter = header.width.min(header.height);
    let factor = [8, 4, 2]
        .map(|denominator| turbojpeg::ScalingFactor::new(1, denominator))
        .into_iter()
        .find(|f| min_side.is_some_and(|side| f.scale(shorter) >= side as usize))
        .unwrap_or(turbojpeg::ScalingFactor::ONE);
    let inks =
        matches!(header.colorspace, turbojpeg::Colorspace::CMYK | turbojpeg::Colorspace::YCCK);
    decompressor.set_scaling_factor(factor).map_err(fail)?;
    let size = header.scaled(factor);
    let (format, channels) =
        if inks { (turbojpeg::PixelFormat::CMYK, 4) } else { (turbojpeg::PixelFormat::RGB, 3) };
    let mut data = vec![0; size.width * size.height * channels];
    let output = turbojpeg::Image {
        pixels: data.as_mut_slice(),
        width: size.width,
        pitch: size.width * channels,
        height: size.height,
        format,
    };
    match decompressor.decompress(bytes, output) {
        Err(e) if !is_harmless(&e.to_string()) => return Err(fail(e)),
        _ => {}
    }
    if inks && is_adobe(bytes) {
        // Adobe stores the paper that is left, not the ink.
        data.iter_mut().for_each(|value| *value = 255 - *value);
    }
    let converted = profile.and_then(|profile| icc::to_srgb(&data, channels, profile));
    let data = match converted {
        Some(data) => data,
        None if inks => {
            let left = |ink: u8, black: u8| {
                ((u16::from(255 - ink) * u16::from(255 - black) + 127) / 255) as u8
            };
            data.chunks_exact(4).flat_map(|p| [0, 1, 2].map(|c| left(p[c], p[3]))).collect()
        }
        None => data,
    };
    Ok(Rgb { width: size.width as u32, height: size.height as u32, data })
}

/// Warnings of libjpeg about bytes that are not pixels; every other one means that pixels are missing.
fn is_harmless(warning: &str) -> bool {
    ["extraneous bytes before marker", "JFIF revision number", "Adobe color transform"]
        .iter()
        .any(|words| warning.contains(words))
}

/// Whether an APP14 segment of Adobe stands before the pixels.
fn is_adobe(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1 << 16)];
    head.windows(9).any(|w| w[..2] == [0xff, 0xee] && &w[4..] == b"Adobe")
}

fn over_white(image: DynamicImage) -> Rgb {
    let (width, height) = (image.width(), image.height());
    if !image.color().has_alpha() {
        return Rgb { width, height, data: image.into_rgb8().into_raw() };
    }
    let rgba = image.into_rgba8().into_raw();
    let mut data = Vec::with_capacity(rgba.len() / 4 * 3);
    for pixel in rgba.chunks_exact(4) {
        let alpha = u32::from(pixel[3]);
        data.extend(
            pixel[..3]
                .iter()
                .map(|&c| ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8),
        );
    }
    Rgb { width, height, data }
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
    use crate::{encode_jpeg, encode_png};

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
    fn scaled_decoding_keeps_the_shorter_side() {
        let bytes = encode_jpeg(&ramp(400, 300), 95).unwrap();
        let options = DecodeOptions { min_side: Some(70), ..Default::default() };
        let image = decode(&bytes, &options).unwrap();
        assert_eq!((image.width, image.height), (100, 75));
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
