//! Pixels to bytes.

use image::ImageEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;

use crate::{Error, Result, Rgb};

/// JPEG with 4:2:0 chroma, as OpenCV and Pillow write it by default.
pub fn encode_jpeg(image: &Rgb, quality: u8) -> Result<Vec<u8>> {
    let (width, height) = (image.width as usize, image.height as usize);
    let pixels = turbojpeg::Image {
        pixels: image.data.as_slice(),
        width,
        pitch: width * 3,
        height,
        format: turbojpeg::PixelFormat::RGB,
    };
    turbojpeg::compress(pixels, i32::from(quality.clamp(1, 100)), turbojpeg::Subsamp::Sub2x2)
        .map(|bytes| bytes.to_vec())
        .map_err(|e| Error::Encode(e.to_string()))
}

/// PNG, the same bytes every time.
pub fn encode_png(image: &Rgb) -> Result<Vec<u8>> {
    png(image, CompressionType::Fast)
}

/// PNG with zlib's level: 0 (stored) to 9 (smallest).
pub fn encode_png_level(image: &Rgb, level: u8) -> Result<Vec<u8>> {
    png(
        image,
        match level {
            0 => CompressionType::Uncompressed,
            level => CompressionType::Level(level.min(9)),
        },
    )
}

fn png(image: &Rgb, compression: CompressionType) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, compression, FilterType::Adaptive)
        .write_image(&image.data, image.width, image.height, image::ExtendedColorType::Rgb8)
        .map_err(|e| Error::Encode(e.to_string()))?;
    Ok(bytes)
}

/// WebP with a quality from 1 to 100; above 100 without loss, as OpenCV counts.
pub fn encode_webp(image: &Rgb, quality: u8) -> Result<Vec<u8>> {
    if quality <= 100 {
        let (width, height) = (image.width, image.height);
        return webp::Encoder::from_rgb(&image.data, width, height)
            .encode_simple(false, f32::from(quality.max(1)))
            .map(|bytes| bytes.to_vec())
            .map_err(|e| Error::Encode(format!("{e:?}")));
    }
    let mut bytes = Vec::new();
    WebPEncoder::new_lossless(&mut bytes)
        .encode(&image.data, image.width, image.height, image::ExtendedColorType::Rgb8)
        .map_err(|e| Error::Encode(e.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DecodeOptions, decode};

    #[test]
    fn lossless_formats_give_the_pixels_back() {
        let data = (0..60 * 40 * 3).map(|i| (i * 7 % 251) as u8).collect();
        let image = Rgb { width: 60, height: 40, data };
        let encoded = [
            encode_png(&image).unwrap(),
            encode_png_level(&image, 0).unwrap(),
            encode_png_level(&image, 9).unwrap(),
            encode_webp(&image, 101).unwrap(),
        ];
        for bytes in encoded {
            assert_eq!(decode(&bytes, &DecodeOptions::default()).unwrap(), image);
        }
    }
    #[test]
    fn webp_with_loss_is_near_and_small() {
        let data =
            (0..64 * 64).flat_map(|i| [(i % 64 * 4) as u8, (i / 64 * 4) as u8, 90]).collect();
        let image = Rgb { width: 64, height: 64, data };
        let bytes = encode_webp(&image, 90).unwrap();
        let back = decode(&bytes, &DecodeOptions::default()).unwrap();
        let far = back.data.iter().zip(&image.data).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(far < Some(24) && bytes.len() < 4000, "{far:?} {}", bytes.len());
    }
}
