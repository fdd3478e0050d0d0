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
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
        .write_image(&image.data, image.width, image.height, image::ExtendedColorType::Rgb8)
        .map_err(|e| Error::Encode(e.to_string()))?;
    Ok(bytes)
}

/// WebP without loss.
pub fn encode_webp(image: &Rgb) -> Result<Vec<u8>> {
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
        for bytes in [encode_png(&image).unwrap(), encode_webp(&image).unwrap()] {
            assert_eq!(decode(&bytes, &DecodeOptions::default()).unwrap(), image);
        }
    }
}
