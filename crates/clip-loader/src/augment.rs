//! What happens to an image before the model sees it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use clip_image::preprocess_cfg::{Interpolation, PreprocessCfg};
use clip_image::{Resampling, Rgb, crop, pillow_resize, resized_crop};
use clip_random::Draw;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::AugCfg;

/// Times the shorter side that of the longer one is looked at, where an image is enlarged before it
/// is cropped.
const THIN: u32 = 64;

/// The random transform of training images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Augment {
    /// None: the evaluation transform.
    None,
    /// "A random square crop from resized images" (CLIP paper, section 2.4).
    SquareCrop,
    /// torchvision's RandomResizedCrop with these bounds of the area: open_clip's choice is 0.9 to
    /// 1.
    ResizedCrop(f32, f32),
    /// open_clip's with an `--aug-cfg`: such a crop, and colours changed now and then.
    OpenClip(AugCfg),
    /// For small corpora: turned, shifted, scaled and recoloured, never mirrored; the strength is 1
    /// by default.
    Small(f32),
}

impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::SquareCrop => f.write_str("square-crop"),
            Self::ResizedCrop(from, to) => write!(f, "rrc({from},{to})"),
            Self::OpenClip(cfg) => write!(f, "aug-cfg({cfg})"),
            Self::Small(strength) => write!(f, "small({strength})"),
        }
    }
}

impl FromStr for Augment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, body) = text.split_once('(').unwrap_or((text, ")"));
        let inner = body.strip_suffix(')').ok_or("the bracket is not closed")?;
        if name == "aug-cfg" {
            return inner.parse().map(Self::OpenClip);
        }
        let numbers: Result<Vec<f32>, _> =
            inner.split(',').filter(|s| !s.trim().is_empty()).map(|s| s.trim().parse()).collect();
        let numbers = numbers.map_err(|e| format!("{text}: {e}"))?;
        match (name, numbers.as_slice()) {
            ("none", []) => Ok(Self::None),
            ("square-crop", []) => Ok(Self::SquareCrop),
            ("rrc", [from, to]) if 0.0 < *from && from <= to && *to <= 1.0 => {
                Ok(Self::ResizedCrop(*from, *to))
            }
            ("rrc", []) => Ok(Self::ResizedCrop(0.9, 1.0)),
            ("small", []) => Ok(Self::Small(1.0)),
            ("small", [strength]) if (0.0..=3.0).contains(strength) => Ok(Self::Small(*strength)),
            _ => Err("one of none, square-crop, rrc(0.9,1), small, small(0.5)".into()),
        }
    }
}

impl Serialize for Augment {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Augment {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input)?.parse().map_err(D::Error::custom)
    }
}

impl Augment {
    /// A square of `size` pixels, resized with the model's interpolation.
    pub(crate) fn apply(
        self,
        image: &Rgb,
        size: u32,
        preprocess: &PreprocessCfg,
        draw: &mut Draw,
    ) -> Rgb {
        match self {
            Self::None => preprocess.transform(i64::from(size)).apply(image),
            Self::SquareCrop => {
                let image = not_too_thin(image);
                let resampling = resampling(preprocess.interpolation, draw);
                let image = shorter_side(&image, size, resampling);
                let x = draw.below((image.width - size + 1) as usize) as u32;
                let y = draw.below((image.height - size + 1) as usize) as u32;
                crop(&image, x, y, size, size)
            }
            Self::ResizedCrop(from, to) => {
                let resampling = resampling(preprocess.interpolation, draw);
                let part = crop_params(image, from, to, draw);
                resized_crop(image, part, (size, size), resampling)
            }
            Self::OpenClip(cfg) => {
                let (from, to) = cfg.scale;
                let mut image = Self::ResizedCrop(from, to).apply(image, size, preprocess, draw);
                cfg.recolour(&mut image, draw);
                image
            }
            Self::Small(strength) => small(&not_too_large(image, size), size, strength, draw),
        }
    }
}

/// The middle of an image whose longer side is more than [`THIN`] times the shorter: with that
/// brought to some size, the longer one would take gigabytes.
fn not_too_thin(image: &Rgb) -> Cow<'_, Rgb> {
    let most = image.width.min(image.height).saturating_mul(THIN);
    let (width, height) = (image.width.min(most), image.height.min(most));
    if (width, height) == (image.width, image.height) {
        return Cow::Borrowed(image);
    }
    let (x, y) = ((image.width - width) / 2, (image.height - height) / 2);
    Cow::Owned(crop(image, x, y, width, height))
}

/// An image whose shorter side is at most four thirds of `size`: pixels between those that are
/// looked at would be lost.
fn not_too_large(image: &Rgb, size: u32) -> Cow<'_, Rgb> {
    let most = size.saturating_mul(4) / 3;
    if image.width.min(image.height) <= most.max(1) {
        return Cow::Borrowed(image);
    }
    Cow::Owned(shorter_side(image, most, Resampling::Bicubic))
}

/// The kernel of one image.
fn resampling(interpolation: Interpolation, draw: &mut Draw) -> Resampling {
    let bilinear = match interpolation {
        Interpolation::Bicubic => false,
        Interpolation::Bilinear => true,
        Interpolation::Random => draw.below(2) == 0,
    };
    if bilinear { Resampling::Bilinear } else { Resampling::Bicubic }
}

/// The image with its shorter side brought to `size`.
fn shorter_side(image: &Rgb, size: u32, resampling: Resampling) -> Rgb {
    let short = image.width.min(image.height).max(1);
    let side = |side: u32| ((u64::from(side) * u64::from(size)) / u64::from(short)) as u32;
    pillow_resize(image, side(image.width).max(size), side(image.height).max(size), resampling)
}

/// torchvision's `RandomResizedCrop.get_params` with ratios of 3/4 to 4/3: x, y, width, height.
fn crop_params(image: &Rgb, from: f32, to: f32, draw: &mut Draw) -> (u32, u32, u32, u32) {
    let (width, height) = (image.width as f32, image.height as f32);
    for _ in 0..10 {
        let area = width * height * draw.between(from, to);
        let ratio = draw.between((0.75f32).ln(), (4.0f32 / 3.0).ln()).exp();
        let (w, h) = ((area * ratio).sqrt().round(), (area / ratio).sqrt().round());
        if 0.0 < w && w <= width && 0.0 < h && h <= height {
            let x = draw.below((width - w) as usize + 1) as u32;
            let y = draw.below((height - h) as usize + 1) as u32;
            return (x, y, w as u32, h as u32);
        }
    }
    let (w, h) = (image.width.min(image.height * 4 / 3), image.height.min(image.width * 4 / 3));
    ((image.width - w) / 2, (image.height - h) / 2, w.max(1), h.max(1))
}

/// An affine map and a colour matrix; outside the image its edge continues.
fn small(image: &Rgb, size: u32, strength: f32, draw: &mut Draw) -> Rgb {
    let side = image.width.min(image.height) as f32;
    let mut spread = |most: f32| draw.between(-most * strength, most * strength);
    let (angle, scale, stretch) = (spread(0.2), spread(0.22).exp(), spread(0.12).exp());
    let (dx, dy) = (spread(0.08) * side, spread(0.08) * side);
    let colour = colour_matrix(spread(0.35), spread(0.35).exp(), spread(0.2).exp());
    let light = spread(24.0);
    let step = side / size as f32 * scale;
    let (sin, cos) = angle.sin_cos();
    let (cx, cy) = (image.width as f32 / 2.0 + dx, image.height as f32 / 2.0 + dy);
    let centre = size as f32 / 2.0;
    let mut data = Vec::with_capacity((size * size * 3) as usize);
    for y in 0..size {
        for x in 0..size {
            let u = (x as f32 + 0.5 - centre) * step * stretch;
            let v = (y as f32 + 0.5 - centre) * step / stretch;
            let pixel = bilinear(image, cx + u * cos - v * sin - 0.5, cy + u * sin + v * cos - 0.5);
            for row in colour {
                let mixed: f32 = row.iter().zip(pixel).map(|(a, b)| a * (b - 128.0)).sum();
                data.push((mixed + 128.0 + light).round().clamp(0.0, 255.0) as u8);
            }
        }
    }
    Rgb { width: size, height: size, data }
}

fn bilinear(image: &Rgb, x: f32, y: f32) -> [f32; 3] {
    let (x0, y0) = (x.floor(), y.floor());
    let (fx, fy) = (x - x0, y - y0);
    let column = |x: f32| (x.max(0.0) as usize).min(image.width as usize - 1) * 3;
    let (left, right) = (column(x0), column(x0 + 1.0));
    let line = |y: f32| image.row((y.max(0.0) as u32).min(image.height - 1));
    let (top, bottom) = (line(y0), line(y0 + 1.0));
    std::array::from_fn(|c| {
        let mix =
            |line: &[u8]| f32::from(line[left + c]) * (1.0 - fx) + f32::from(line[right + c]) * fx;
        mix(top) * (1.0 - fy) + mix(bottom) * fy
    })
}

/// Hue turned by `angle` about the grey axis, saturation and contrast scaled.
fn colour_matrix(angle: f32, saturation: f32, contrast: f32) -> [[f32; 3]; 3] {
    let (sin, cos) = angle.sin_cos();
    let (third, root) = (1.0 / 3.0, (1.0f32 / 3.0).sqrt());
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            let same = if i == j { 1.0 } else { 0.0 };
            let cross = match (j + 3 - i) % 3 {
                1 => -root,
                2 => root,
                _ => 0.0,
            };
            let turned = cos * same + (1.0 - cos) * third + sin * cross;
            contrast * (saturation * turned + (1.0 - saturation) * third)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREY: &str =
        "aug-cfg(color_jitter=(0.4,0.4,0.4,0.1) color_jitter_prob=1 gray_scale_prob=0.5)";

    #[test]
    fn names() {
        assert_eq!("rrc(0.9, 1)".parse(), Ok(Augment::ResizedCrop(0.9, 1.0)));
        assert_eq!("small(0.5)".parse(), Ok(Augment::Small(0.5)));
        let cfg = "aug-cfg(scale=(0.4,1) gray_scale_prob=0.2)";
        for name in ["none", "square-crop", "rrc(0.9,1)", "small(1.2)", cfg] {
            assert_eq!(name.parse::<Augment>().unwrap().to_string(), name);
        }
        for bad in ["rrc(2,3)", "flip", "rrc(0.9", "small(x)", "aug-cfg(x)"] {
            assert!(bad.parse::<Augment>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_policy_gives_the_size_and_keeps_a_grey_image_grey() {
        for (w, h) in [(1, 1), (70, 33), (20, 90)] {
            for policy in ["none", "square-crop", "rrc", "small", GREY] {
                let mut draw = Draw::new("test", 1, 0, 0);
                let image = Rgb::filled(w, h, [128; 3]);
                let augment = policy.parse::<Augment>().unwrap();
                let out = augment.apply(&image, 32, &PreprocessCfg::default(), &mut draw);
                assert_eq!((out.width, out.height, out.data.len()), (32, 32, 32 * 32 * 3));
                assert!(out.data.chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]), "{policy}");
            }
        }
    }

    #[test]
    fn of_a_thin_image_only_the_middle_is_enlarged() {
        let side = |w, h| {
            let image = Rgb::filled(w, h, [7; 3]);
            let part = not_too_thin(&image).into_owned();
            (part.width, part.height)
        };
        assert_eq!(side(1, 20_000), (1, 64));
        assert_eq!(side(9000, 2), (128, 2));
        assert_eq!(side(640, 10), (640, 10));
    }

    #[test]
    fn a_crop_has_the_pixels_of_torchvisions() {
        let data = (0..90 * 70 * 3).map(|i| (i * i % 251) as u8).collect();
        let image = Rgb { width: 90, height: 70, data };
        for slot in 0..20 {
            let mut draw = Draw::new("test", 1, 0, slot);
            let (x, y, w, h) = crop_params(&image, 0.5, 0.9, &mut draw);
            let mut draw = Draw::new("test", 1, 0, slot);
            let plain = PreprocessCfg::default();
            let found = Augment::ResizedCrop(0.5, 0.9).apply(&image, 16, &plain, &mut draw);
            // The evaluation transform, whose pixels are open_clip's, brings it to a square, too.
            let squash = clip_image::Preprocess {
                resize_mode: clip_image::ResizeMode::Squash,
                ..clip_image::Preprocess::clip(16)
            };
            assert_eq!(found, squash.apply(&crop(&image, x, y, w, h)));
        }
    }

    #[test]
    fn a_large_image_is_made_smaller_before_single_pixels_are_taken() {
        let data = (0..200 * 200).flat_map(|i| [if i % 2 == 0 { 0 } else { 255 }; 3]).collect();
        let image = Rgb { width: 200, height: 200, data };
        let mut draw = Draw::new("test", 1, 0, 0);
        let plain = PreprocessCfg::default();
        let small = Augment::Small(0.0).apply(&image, 20, &plain, &mut draw);
        assert!(small.data.iter().all(|&level| (100..156).contains(&level)));
    }

    #[test]
    fn without_strength_nothing_changes() {
        let data = (0..16 * 16 * 3).map(|i| (i * 7 % 256) as u8).collect();
        let image = Rgb { width: 16, height: 16, data };
        let mut draw = Draw::new("test", 1, 0, 0);
        let plain = PreprocessCfg::default();
        assert_eq!(Augment::Small(0.0).apply(&image, 16, &plain, &mut draw), image);
    }

    #[test]
    fn images_are_resized_with_the_models_interpolation() {
        let data = (0..50 * 40 * 3).map(|i| (i * i % 251) as u8).collect();
        let image = Rgb { width: 50, height: 40, data };
        for augment in [Augment::ResizedCrop(0.5, 0.9), Augment::SquareCrop, Augment::None] {
            let with = |interpolation, slot| {
                let cfg = PreprocessCfg { interpolation, ..PreprocessCfg::default() };
                let mut draw = Draw::new("test", 1, 0, slot);
                // The same crop for every kernel: what is drawn for the kernel comes first.
                if interpolation != Interpolation::Random && augment != Augment::None {
                    draw.below(2);
                }
                augment.apply(&image, 16, &cfg, &mut draw)
            };
            let (mut bicubic, mut bilinear) = (0, 0);
            for slot in 0..20 {
                let random = with(Interpolation::Random, slot);
                assert_ne!(with(Interpolation::Bicubic, slot), with(Interpolation::Bilinear, slot));
                bicubic += u32::from(random == with(Interpolation::Bicubic, slot));
                bilinear += u32::from(random == with(Interpolation::Bilinear, slot));
            }
            assert_eq!(bicubic + bilinear, 20);
            // The evaluation transform draws nothing.
            assert_eq!((bicubic > 0, bilinear > 0), (true, augment != Augment::None));
        }
    }
}
