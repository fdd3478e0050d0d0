//! Whether two images of a corpus show the same, by laying one over the other.

use clip_image::{DecodeOptions, Rgb, decode, hash};
use clip_overlap::{CopyRule, pair_score, thumbnail};
use clip_sql::Compare;

/// The aligned check of near-duplicate candidates.
pub struct Aligned {
    rule: CopyRule,
}

impl Aligned {
    /// Images are copies by this rule.
    pub fn new(rule: CopyRule) -> Self {
        Self { rule }
    }
}

impl Compare for Aligned {
    /// Width, height, pixels.
    fn thumb(&self, image: &[u8]) -> Option<Vec<u8>> {
        let options = DecodeOptions { min_side: Some(hash::FAST_SIDE), ..Default::default() };
        let thumb = thumbnail(&decode(image, &options).ok()?);
        let sides = [u8::try_from(thumb.width).ok()?, u8::try_from(thumb.height).ok()?];
        Some([&sides[..], &thumb.data].concat())
    }

    fn alike(&self, a: &[u8], b: &[u8]) -> bool {
        match (unpack(a), unpack(b)) {
            (Some(a), Some(b)) => self.rule.reaches(pair_score(&a, &b)),
            _ => false,
        }
    }
}

fn unpack(thumb: &[u8]) -> Option<Rgb> {
    let (&[width, height], data) = thumb.split_first_chunk()?;
    let (width, height) = (u32::from(width), u32::from(height));
    (data.len() as u32 == width * height * 3).then(|| Rgb { width, height, data: data.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_image::{Filter, encode_jpeg, resize};

    #[test]
    fn a_recompressed_smaller_copy_is_alike_and_another_image_is_not() {
        let image = |seed: u32| {
            let data = (0..8 * 8 * 3u32).map(|i| (i * i * (seed + 3) % 251) as u8).collect();
            resize(&Rgb { width: 8, height: 8, data }, 320, 240, Filter::Bicubic)
        };
        let aligned = Aligned::new(CopyRule::default());
        let thumb =
            |image: &Rgb, quality| aligned.thumb(&encode_jpeg(image, quality).unwrap()).unwrap();
        let first = thumb(&image(1), 95);
        assert!(first.len() <= 64 * 64 * 3 + 2);
        assert!(aligned.alike(&first, &thumb(&resize(&image(1), 100, 75, Filter::Area), 60)));
        assert!(!aligned.alike(&first, &thumb(&image(9), 95)));
        assert_eq!(aligned.thumb(b"no image"), None);
    }
}
