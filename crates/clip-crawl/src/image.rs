//! From the bytes that came to the image that is stored.

use clip_image::{DecodeOptions, ImageHeader, Rgb, hash};
use clip_pipeline::config::fetch::{EncodeFormat, ImageConfig, Interpolation, ResizeMode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// An image as the pipeline stores it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stored {
    #[serde(skip)]
    pub bytes: Vec<u8>,
    pub format: String,
    pub size: (u32, u32),
    pub original: (u32, u32),
    pub sha256: String,
    pub blake3: String,
    pub phash: u64,
    pub dhash: u64,
    pub flat: bool,
    pub exif: String,
}

/// Why an image is not stored: a short reason, img2dataset's message, and what exactly, where there
/// is more.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub kind: &'static str,
    pub message: String,
    pub detail: String,
}

impl Refusal {
    fn new(kind: &'static str, message: &str) -> Self {
        Self { kind, message: message.into(), detail: String::new() }
    }

    fn undecodable(error: &clip_image::Error) -> Self {
        let kind = match error {
            clip_image::Error::UnknownFormat => "not_an_image",
            clip_image::Error::Undecoded(_) => "unsupported_format",
            clip_image::Error::TooLarge { .. } => "too_many_pixels",
            _ => "undecodable",
        };
        Self { kind, message: "Image decoding error".into(), detail: error.to_string() }
    }

    /// Message and detail, for people.
    pub fn message(&self) -> String {
        if self.detail.is_empty() {
            self.message.clone()
        } else {
            format!("{}: {}", self.message, self.detail)
        }
    }
}

/// An image encoded anew, or as it came.
pub(crate) struct Encoded {
    pub bytes: Vec<u8>,
    pub format: &'static str,
    pub size: (u32, u32),
    pub original: (u32, u32),
}

/// Checks, decodes, hashes, resizes and encodes.
pub(crate) fn process(bytes: &[u8], config: &ImageConfig) -> Result<Stored, Refusal> {
    // Hashes are of the image as it came, so that they do not depend on how it is stored.
    let mut hashes = None;
    let header = header(bytes)?;
    let exif = header.exif();
    let Encoded { bytes: encoded, format, size, original } =
        encode(header, config, &[], &mut |image| {
            hashes = Some(hash::Hashes::of(image));
        })?;
    let hash::Hashes { phash, dhash, flat } = hashes.unwrap_or_default();
    let sha256 = hex::encode(Sha256::digest(bytes));
    let blake3 = blake3::hash(bytes).to_hex().to_string();
    let (exif, format) = (crate::exif::to_json(exif), format.to_owned());
    Ok(Stored { bytes: encoded, format, size, original, sha256, blake3, phash, dhash, flat, exif })
}

/// The header of an image that came.
pub(crate) fn header(bytes: &[u8]) -> Result<ImageHeader<'_>, Refusal> {
    ImageHeader::read(bytes).map_err(|e| Refusal::undecodable(&e))
}

/// Checks, decodes, blurs `boxes` (shares of the image as it is stored in the file), resizes and
/// encodes; `see` is shown the decoded image.
pub(crate) fn encode(
    mut header: ImageHeader,
    config: &ImageConfig,
    boxes: &[clip_image::BoundingBox],
    see: &mut dyn FnMut(&Rgb),
) -> Result<Encoded, Refusal> {
    let (w, h) = (header.width, header.height);
    if w.min(h) < config.min_image_size {
        return Err(Refusal::new("image_too_small", "image too small"));
    }
    if u64::from(w) * u64::from(h) > config.max_image_area {
        return Err(Refusal::new("image_area_too_large", "image area too large"));
    }
    if w.max(h) as f32 / w.min(h) as f32 > config.max_aspect_ratio {
        return Err(Refusal::new("aspect_ratio_too_large", "aspect ratio too large"));
    }
    let turned = if config.orient { header.orientation() } else { 1 };
    let original = if turned >= 5 { (h, w) } else { (w, h) };
    if let Some((width, height)) = target(original, config)
        && u64::from(width) * u64::from(height) > config.max_pixels
    {
        let (w, h) = original;
        return Err(Refusal {
            detail: format!(
                "{w}x{h} resized to {width}x{height} has more than max_pixels, {}",
                config.max_pixels
            ),
            ..Refusal::new("too_many_pixels", "resized image too large")
        });
    }
    let min_side = config.fast_decode.then(|| least_side(original, config)).flatten();
    let (max_pixels, icc) = (config.max_pixels, config.icc);
    let options = DecodeOptions { max_pixels, orient: config.orient, icc, min_side };
    let image = header.decode(&options).map_err(|e| Refusal::undecodable(&e))?;
    see(&image);
    let same_format = header.format == config.encode_format.format();
    let format = config.encode_format.format().extension();
    let boxes: Vec<_> = boxes.iter().map(|b| clip_image::upright_box(*b, turned)).collect();
    let resized = scale(&image, original, config);
    let untouched = resized.is_none() && boxes.is_empty() && turned == 1;
    let untouched = untouched && !header.may_be_transparent();
    if untouched && config.skip_reencode && same_format {
        return Ok(Encoded { bytes: header.bytes().to_vec(), format, size: original, original });
    }
    let shaped = resized.is_some();
    let mut image = resized.unwrap_or(image);
    if !boxes.is_empty() {
        image = clip_image::blur_boxes(&image, &boxes);
    }
    if shaped {
        image = frame(image, config);
    }
    let quality = config.encode_quality;
    let encoded = match config.encode_format {
        EncodeFormat::Jpg => clip_image::encode_jpeg(&image, quality),
        EncodeFormat::Png if quality <= 9 => clip_image::encode_png_level(&image, quality),
        EncodeFormat::Png => clip_image::encode_png(&image),
        EncodeFormat::Webp => clip_image::encode_webp(&image, quality),
    };
    let fault = |e: clip_image::Error| Refusal {
        kind: "unencodable",
        message: e.to_string(),
        detail: String::new(),
    };
    let size = (image.width, image.height);
    Ok(Encoded { bytes: encoded.map_err(fault)?, format, size, original })
}

/// The size that the image is scaled to, or nothing when it stays as it is: img2dataset's rules,
/// which are about the `original` size (an image decoded at a fraction has less).
fn target((w, h): (u32, u32), config: &ImageConfig) -> Option<(u32, u32)> {
    let side = match config.resize_mode {
        ResizeMode::No => return None,
        ResizeMode::KeepRatio | ResizeMode::CenterCrop => w.min(h),
        ResizeMode::Border | ResizeMode::KeepRatioLargest => w.max(h),
    };
    let size = config.image_size.max(1);
    if side <= size && config.resize_only_if_bigger {
        return None;
    }
    let scaled = |value: u32| {
        let value = f64::from(value) * (f64::from(size) / f64::from(side));
        (value.round_ties_even() as u32).max(1)
    };
    Some((scaled(w), scaled(h)))
}

/// Pixels that the shorter side must keep when it is decoded at a fraction: twice what is needed,
/// so that the rest is averaged exactly.
fn least_side(original: (u32, u32), config: &ImageConfig) -> Option<u32> {
    let (w, h) = target(original, config)?;
    Some(w.min(h).saturating_mul(2))
}

fn scale(image: &Rgb, original: (u32, u32), config: &ImageConfig) -> Option<Rgb> {
    let (width, height) = target(original, config)?;
    let shrinks = width < original.0 || height < original.1;
    let how = if shrinks { config.downscale_interpolation } else { config.upscale_interpolation };
    let how = match how {
        Interpolation::Nearest => clip_image::Interpolation::Nearest,
        Interpolation::Linear => clip_image::Interpolation::Linear,
        Interpolation::Cubic => clip_image::Interpolation::Cubic,
        Interpolation::Area => clip_image::Interpolation::Area,
        Interpolation::Lanczos => clip_image::Interpolation::Lanczos4,
    };
    Some(clip_image::opencv_resize(image, width, height, how))
}

/// What a mode does after scaling.
fn frame(image: Rgb, config: &ImageConfig) -> Rgb {
    let size = config.image_size.max(1);
    match config.resize_mode {
        ResizeMode::Border => border(&image, size),
        ResizeMode::CenterCrop => {
            let (x, y) = ((image.width - size) / 2, (image.height - size) / 2);
            clip_image::crop(&image, x, y, size, size)
        }
        _ => image,
    }
}

/// White around the image, to a square.
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
            process(&bytes, &config).err().unwrap().message
        };
        assert_eq!(refuse(&|c| c.min_image_size = 101), "image too small");
        assert_eq!(refuse(&|c| c.max_image_area = 29_999), "image area too large");
        assert_eq!(refuse(&|c| c.max_aspect_ratio = 2.9), "aspect ratio too large");
        let refusal = process(b"<html>", &config(ResizeMode::No)).err().unwrap();
        assert_eq!((refusal.kind, &*refusal.message), ("not_an_image", "Image decoding error"));
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
        let refusal = process(heic, &config(ResizeMode::No)).err().unwrap();
        assert_eq!(
            (refusal.kind, refusal.message()),
            ("unsupported_format", "Image decoding error: HEIC is not decoded".to_owned())
        );
    }

    #[test]
    fn thin_images_are_refused_before_they_are_resized() {
        let bytes = clip_image::encode_png(&Rgb::filled(1, 20_000, [9, 9, 9])).unwrap();
        for mode in [ResizeMode::KeepRatio, ResizeMode::CenterCrop] {
            let refusal = process(&bytes, &config(mode)).err().unwrap();
            assert_eq!(refusal.kind, "too_many_pixels", "{mode:?}");
            assert!(
                refusal.message().contains("1x20000 resized to 256x5120000"),
                "{}",
                refusal.message()
            );
        }
        for mode in [ResizeMode::Border, ResizeMode::KeepRatioLargest, ResizeMode::No] {
            assert!(process(&bytes, &config(mode)).is_ok(), "{mode:?}");
        }
    }

    #[test]
    fn small_images_stay() {
        let small = Rgb::filled(100, 80, [9, 90, 9]);
        let bytes = clip_image::encode_png(&small).unwrap();
        for mode in [ResizeMode::Border, ResizeMode::CenterCrop, ResizeMode::KeepRatioLargest] {
            let config = ImageConfig { resize_only_if_bigger: true, ..config(mode) };
            assert_eq!(process(&bytes, &config).ok().unwrap().size, (100, 80), "{mode:?}");
        }
    }

    #[test]
    fn decoding_at_a_fraction_changes_no_size() {
        let bytes = clip_image::encode_jpeg(&Rgb::filled(1301, 903, [9, 90, 9]), 80).unwrap();
        for mode in [ResizeMode::KeepRatio, ResizeMode::Border, ResizeMode::CenterCrop] {
            assert!(least_side((1301, 903), &config(mode)).unwrap() <= 512);
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

    /// img2dataset's own test of its resizer, on images of the same sizes: 13 modes and flags, two
    /// sizes, three formats, with what version 1.47.0 gave (`scripts/golden/resize`).
    #[test]
    fn its_78_cases_hold() {
        let folder =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/photographs");
        let (mut cases, mut most) = (std::collections::HashSet::new(), 0);
        for line in include_str!("../tests/golden/resize.jsonl").lines() {
            let golden: serde_json::Value = serde_json::from_str(line).unwrap();
            let bytes = std::fs::read(folder.join(golden["image"].as_str().unwrap())).unwrap();
            let (kind, png) = (golden["kind"].clone(), golden["kind"] == "png");
            let config = ImageConfig {
                resize_mode: serde_json::from_value(golden["mode"].clone()).unwrap(),
                resize_only_if_bigger: golden["bigger"].as_bool().unwrap(),
                skip_reencode: golden["skip"].as_bool().unwrap(),
                image_size: golden["size"].as_u64().unwrap() as u32,
                encode_format: serde_json::from_value(kind).unwrap(),
                encode_quality: if png { 9 } else { 95 },
                ..ImageConfig::default()
            };
            let made = encode(header(&bytes).unwrap(), &config, &[], &mut |_| {}).unwrap();
            let size = (golden["width"].as_u64().unwrap(), golden["height"].as_u64().unwrap());
            assert_eq!((u64::from(made.size.0), u64::from(made.size.1)), size, "{line}");
            assert_eq!(made.bytes == bytes, golden["same"].as_bool().unwrap(), "{line}");
            let image = clip_image::decode(&made.bytes, &DecodeOptions::default()).unwrap();
            for channel in 0..3 {
                let values = image.data.iter().skip(channel).step_by(3);
                let mean =
                    values.map(|&v| f64::from(v)).sum::<f64>() * 3.0 / image.data.len() as f64;
                let far = (mean - golden["mean"][channel].as_f64().unwrap()).abs();
                assert!(far < 0.5, "{line}: mean of channel {channel} is {far} off");
            }
            let probes = golden["probes"].as_array().map_or(&[][..], Vec::as_slice);
            for (at, probe) in probes.chunks_exact(3).enumerate() {
                let (x, y) =
                    ((at * 151 + 7) as u32 % image.width, (at * 97 + 11) as u32 % image.height);
                let pixel = &image.row(y)[x as usize * 3..][..3];
                for (value, golden) in pixel.iter().zip(probe) {
                    let far = i64::from(*value).abs_diff(golden.as_i64().unwrap());
                    most = most.max(far);
                    assert!(far <= 2, "{line}: probe {at} is {far} off");
                }
            }
            cases.insert(
                [
                    &golden["mode"],
                    &golden["bigger"],
                    &golden["skip"],
                    &golden["size"],
                    &golden["kind"],
                ]
                .map(ToString::to_string),
            );
        }
        assert_eq!(cases.len(), 78);
        eprintln!("largest difference of a pixel: {most}");
    }

    #[test]
    fn boxes_are_blurred_and_such_an_image_is_never_stored_as_it_came() {
        let data = (0..100 * 80).flat_map(|i| [if i % 2 == 0 { 0 } else { 255 }; 3]).collect();
        let bytes = clip_image::encode_jpeg(&Rgb { width: 100, height: 80, data }, 95).unwrap();
        let config = ImageConfig { encode_format: EncodeFormat::Jpg, ..ImageConfig::default() };
        assert_eq!(
            encode(header(&bytes).unwrap(), &config, &[], &mut |_| {}).unwrap().bytes,
            bytes
        );
        let made =
            encode(header(&bytes).unwrap(), &config, &[[0.0, 0.0, 0.4, 0.4]], &mut |_| {}).unwrap();
        let image = clip_image::decode(&made.bytes, &DecodeOptions::default()).unwrap();
        let contrast = |x: usize, y: u32| image.row(y)[x * 3].abs_diff(image.row(y)[x * 3 + 3]);
        assert!(contrast(10, 10) < 20 && contrast(90, 70) > 200);
    }
}
