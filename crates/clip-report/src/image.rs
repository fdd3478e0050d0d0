//! Images inside a page.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clip_format::ImageFormat;
use clip_image::{DecodeOptions, Filter, Rgb, decode, encode_jpeg, encode_png, resize};

/// An image of at most this many bytes is in the page as it is: a page is no larger than its number
/// of images allows.
const AS_IT_IS: usize = 24 << 10;
/// Longer side of an image that was made smaller.
const SIDE: u32 = 320;
/// An image whose longer side is at most this is small enough as PNG.
const PNG_SIDE: u32 = 64;

/// An image inside the page, which is enlarged while it has the focus. One of many bytes, or of a
/// format that browsers do not show, is made smaller; one that cannot be decoded is an empty box.
pub fn image_tag(bytes: &[u8]) -> String {
    match small_image(bytes) {
        Some((bytes, format)) => {
            format!("<img alt=\"\" tabindex=\"0\" src=\"{}\">", data_url(&bytes, format))
        }
        None => "<div class=\"none\">no image</div>".to_owned(),
    }
}

/// The bytes of an image as a page shows it small, and their format: see [`image_tag`]. Nothing
/// when it cannot be decoded.
pub fn small_image(bytes: &[u8]) -> Option<(Cow<'_, [u8]>, ImageFormat)> {
    let format = ImageFormat::sniff(bytes)?;
    if bytes.len() <= AS_IT_IS && format.is_shown_by_browsers() {
        return Some((Cow::Borrowed(bytes), format));
    }
    let image = smaller(bytes, SIDE)?;
    if image.width.max(image.height) <= PNG_SIDE {
        return Some((Cow::Owned(encode_png(&image).ok()?), ImageFormat::Png));
    }
    Some((Cow::Owned(encode_jpeg(&image, 80).ok()?), ImageFormat::Jpeg))
}

/// A small JPEG of an image, as a URL; nothing when it cannot be decoded.
pub(crate) fn thumbnail_url(bytes: &[u8], side: u32) -> Option<String> {
    let jpeg = encode_jpeg(&smaller(bytes, side)?, 80).ok()?;
    Some(data_url(&jpeg, ImageFormat::Jpeg))
}

/// The image, its longer side at most `side` pixels.
fn smaller(bytes: &[u8], side: u32) -> Option<Rgb> {
    let options = DecodeOptions { min_side: Some(side), ..Default::default() };
    let image = decode(bytes, &options).ok()?;
    let longer = image.width.max(image.height);
    if longer <= side {
        return Some(image);
    }
    // In 64 bits: a thin image has sides of millions.
    let scaled = |own: u32| (u64::from(own) * u64::from(side) / u64::from(longer)).max(1) as u32;
    Some(resize(&image, scaled(image.width), scaled(image.height), Filter::Area))
}

fn data_url(bytes: &[u8], format: ImageFormat) -> String {
    format!("data:{};base64,{}", format.media_type(), STANDARD.encode(bytes))
}

/// A whole image of one pixel.
#[cfg(test)]
pub(crate) const DOT: &[u8] = b"GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_images_and_formats_that_browsers_lack_are_made_small_ones() {
        let noise = |side: u32| {
            let pixels =
                (0..side * side * 3).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8);
            Rgb { width: side, height: side, data: pixels.collect() }
        };
        let small = encode_png(&noise(16)).unwrap();
        assert!(image_tag(&small).contains(&STANDARD.encode(&small)));
        let large = encode_png(&noise(700)).unwrap();
        let tag = image_tag(&large);
        assert!(large.len() > 1 << 20 && tag.len() < 200 << 10, "{} {}", large.len(), tag.len());
        assert!(tag.contains("data:image/jpeg"));
        let gray = [&b"P5 2 1 255\n"[..], &[0, 255]].concat();
        assert!(image_tag(&gray).contains("data:image/png"));
        assert!(image_tag(b"not an image").contains("no image"));
    }
}
