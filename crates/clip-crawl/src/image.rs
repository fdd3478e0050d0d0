//! From the bytes that came to the image that is stored.

use clip_image::{DecodeOptions, Filter, Format, Rgb, hash};
use clip_pipeline::config::fetch::{EncodeFormat, ImageConfig, ResizeMode};
use sha2::{Digest, Sha256};

/// An image ready to be stored.
pub(crate) struct Stored {
    pub bytes: Vec<u8>,
    pub format: &'static str,
    pub size: (u32, u32),
    pub original: (u32, u32),
    pub sha256: String,
    pub blake3: String,
    pub phash: u64,
    pub dhash: u64,
    pub flat: bool,
    pub exif: String,
}

/// Why an image is not stored: reason and img2dataset's message.
pub(crate) type Refusal = (&'static str, String);

/// Checks, decodes, hashes, resizes and encodes.
pub(crate) fn process(bytes: &[u8], config: &ImageConfig) -> Result<Stored, Refusal> {
    let undecodable = |e: clip_image::Error| ("undecodable", format!("Image decoding error: {e}"));
    let header = clip_image::probe(bytes).map_err(undecodable)?;
    let (w, h) = (header.width, header.height);
    if w.min(h) < config.min_image_size {
        return Err(("image_too_small", "image too small".into()));
    }
    if u64::from(w) * u64::from(h) > config.max_image_area {
        return Err(("image_area_too_large", "image area too large".into()));
    }
    if w.max(h) as f32 / w.min(h) as f32 > config.max_aspect_ratio {
        return Err(("aspect_ratio_too_large", "aspect ratio too large".into()));
    }
    let (max_pixels, orient) = (config.max_pixels, config.orient);
    let min_side = config.fast_decode.then_some(config.image_size);
    let options = DecodeOptions { max_pixels, orient, min_side };
    let image = clip_image::decode(bytes, &options).map_err(undecodable)?;
    // Hashes are of the picture as it came, so that they do not depend on how it is stored.
    let hash::Hashes { phash, dhash, flat } = hash::Hashes::of(&image);
    let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let blake3 = blake3::hash(bytes).to_hex().to_string();
    let turned = if config.orient { clip_image::orientation(bytes) } else { 1 };
    let original = if turned >= 5 { (h, w) } else { (w, h) };
    let resized = shape(&image, original, config);
    let same_format = matches!(
        (header.format, config.encode_format),
        (Format::Jpeg, EncodeFormat::Jpg)
            | (Format::Png, EncodeFormat::Png)
            | (Format::Webp, EncodeFormat::Webp)
    );
    let format = match config.encode_format {
        EncodeFormat::Jpg => "jpg",
        EncodeFormat::Png => "png",
        EncodeFormat::Webp => "webp",
    };
    let exif = crate::exif::to_json(bytes);
    let (bytes, size) = match resized {
        None if config.skip_reencode && same_format && turned == 1 && !has_alpha(bytes) => {
            (bytes.to_vec(), original)
        }
        resized => {
            let image = resized.unwrap_or(image);
            let encoded = match config.encode_format {
                EncodeFormat::Jpg => clip_image::encode_jpeg(&image, config.encode_quality),
                EncodeFormat::Png => clip_image::encode_png(&image),
                EncodeFormat::Webp => clip_image::encode_webp(&image),
            };
            (encoded.map_err(|e| ("unencodable", e.to_string()))?, (image.width, image.height))
        }
    };
    Ok(Stored { bytes, format, size, original, sha256, blake3, phash, dhash, flat, exif })
}

/// Whether the header says that there may be alpha: such an image is flattened, so never stored as it came.
fn has_alpha(bytes: &[u8]) -> bool {
    match Format::sniff(bytes) {
        // Colour types 4 and 6 have a channel; tRNS gives alpha to the others and stands before the pixels.
        Some(Format::Png) => {
            let head = &bytes[..bytes.len().min(4096)];
            bytes.get(25).is_some_and(|kind| kind & 4 != 0) || head.windows(4).any(|w| w == b"tRNS")
        }
        Some(Format::Webp) => match bytes.get(12..16) {
            Some(b"VP8X") => bytes.get(20).is_some_and(|flags| flags & 0x10 != 0),
            Some(b"VP8L") => bytes.get(24).is_some_and(|bits| bits & 0x10 != 0),
            _ => false,
        },
        _ => false,
    }
}

/// The image in its new shape, or nothing when it stays as it is: img2dataset's rules, which are about the
/// `original` size (an image decoded at a fraction has less).
fn shape(image: &Rgb, original: (u32, u32), config: &ImageConfig) -> Option<Rgb> {
    let (w, h) = original;
    let side = match config.resize_mode {
        ResizeMode::No => return None,
        ResizeMode::KeepRatio | ResizeMode::CenterCrop => w.min(h),
        ResizeMode::Border | ResizeMode::KeepRatioLargest => w.max(h),
    };
    let size = config.image_size.max(1);
    let shrink = side > size;
    if !shrink && config.resize_only_if_bigger {
        return None;
    }
    let scaled = |value: u32| {
        let value = f64::from(value) * (f64::from(size) / f64::from(side));
        (value.round_ties_even() as u32).max(1)
    };
    let filter = if shrink { Filter::Area } else { Filter::Lanczos };
    let resized = clip_image::resize(image, scaled(w), scaled(h), filter);
    Some(match config.resize_mode {
        ResizeMode::Border => border(&resized, size),
        ResizeMode::CenterCrop => {
            let (x, y) = ((resized.width - size) / 2, (resized.height - size) / 2);
            clip_image::crop(&resized, x, y, size, size)
        }
        _ => resized,
    })
}

/// White around the picture, to a square.
fn border(image: &Rgb, edge: u32) -> Rgb {
    let mut square = Rgb::filled(edge, edge, [255; 3]);
    let (x, y) = ((edge - image.width) / 2, (edge - image.height) / 2);
    let width = image.width as usize * 3;
    for row in 0..image.height {
        let at = ((y + row) * edge + x) as usize * 3;
        square.data[at..at + width].copy_from_slice(image.row(row));
    }
    square
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(mode: ResizeMode) -> ImageConfig {
        let (resize_mode, resize_only_if_bigger) = (mode, false);
        ImageConfig { resize_mode, resize_only_if_bigger, ..Default::default() }
    }

    /// Sizes measured from img2dataset 1.47.0 with image_size 256.
    #[test]
    fn sizes_are_img2datasets() {
        for (w, h, keep, largest) in [
            (123, 456, (256, 949), (69, 256)),
            (208, 495, (256, 609), (108, 256)),
            (321, 421, (256, 336), (195, 256)),
            (389, 535, (256, 352), (186, 256)),
            (416, 264, (403, 256), (256, 162)),
            (456, 123, (949, 256), (256, 69)),
            (524, 316, (425, 256), (256, 154)),
        ] {
            let bytes = clip_image::encode_png(&Rgb::filled(w, h, [9, 9, 9])).unwrap();
            for (mode, size) in [
                (ResizeMode::KeepRatio, keep),
                (ResizeMode::KeepRatioLargest, largest),
                (ResizeMode::Border, (256, 256)),
                (ResizeMode::CenterCrop, (256, 256)),
                (ResizeMode::No, (w, h)),
            ] {
                let stored = process(&bytes, &config(mode)).ok().unwrap();
                assert_eq!(stored.size, size, "{w}x{h} {mode:?}");
                assert_eq!(stored.original, (w, h));
            }
        }
    }

    #[test]
    fn refusals_have_img2datasets_words() {
        let bytes = clip_image::encode_png(&Rgb::filled(300, 100, [9, 9, 9])).unwrap();
        let refuse = |change: &dyn Fn(&mut ImageConfig)| {
            let mut config = config(ResizeMode::No);
            change(&mut config);
            process(&bytes, &config).err().unwrap().1
        };
        assert_eq!(refuse(&|c| c.min_image_size = 101), "image too small");
        assert_eq!(refuse(&|c| c.max_image_area = 29_999), "image area too large");
        assert_eq!(refuse(&|c| c.max_aspect_ratio = 2.9), "aspect ratio too large");
        assert!(
            process(b"<html>", &config(ResizeMode::No))
                .err()
                .unwrap()
                .1
                .starts_with("Image decoding error")
        );
    }

    #[test]
    fn small_images_stay_and_alpha_is_flattened() {
        let small = Rgb::filled(100, 80, [9, 90, 9]);
        let bytes = clip_image::encode_png(&small).unwrap();
        for mode in [ResizeMode::Border, ResizeMode::CenterCrop, ResizeMode::KeepRatioLargest] {
            let config = ImageConfig { resize_only_if_bigger: true, ..config(mode) };
            assert_eq!(process(&bytes, &config).ok().unwrap().size, (100, 80), "{mode:?}");
        }
        assert!(!has_alpha(&bytes));
        let mut rgba = bytes.clone();
        rgba[25] = 6;
        assert!(has_alpha(&rgba));
    }

    #[test]
    fn decoding_at_a_fraction_changes_no_size() {
        let bytes = clip_image::encode_jpeg(&Rgb::filled(1301, 903, [9, 90, 9]), 80).unwrap();
        for mode in [ResizeMode::KeepRatio, ResizeMode::Border, ResizeMode::CenterCrop] {
            let exact = process(&bytes, &config(mode)).ok().unwrap();
            let fast = ImageConfig { fast_decode: true, ..config(mode) };
            let fast = process(&bytes, &fast).ok().unwrap();
            assert_eq!((fast.size, fast.original), (exact.size, exact.original));
            assert_eq!(exact.original, (1301, 903));
        }
    }

    #[test]
    fn bytes_that_fit_already_stay_as_they_came() {
        let bytes = clip_image::encode_jpeg(&Rgb::filled(100, 80, [9, 90, 9]), 80).unwrap();
        let stored = process(&bytes, &ImageConfig::default()).ok().unwrap();
        assert_eq!(stored.bytes, bytes);
    }
}
