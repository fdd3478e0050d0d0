//! CLIP's evaluation transform up to the pixels: resize the shorter side, crop the centre.

use crate::{Filter, Rgb, crop, resize};

/// torchvision's `Resize(size, BICUBIC)` and `CenterCrop(size)`, with its roundings (OpenAI CLIP, `clip.py`).
pub fn clip_preprocess(image: &Rgb, size: u32) -> Rgb {
    let (w, h) = (u64::from(image.width), u64::from(image.height));
    let long = |side: u64, short: u64| (u64::from(size) * side / short) as u32;
    let (width, height) = if w <= h { (size, long(h, w)) } else { (long(w, h), size) };
    let image = resize(image, width, height, Filter::Bicubic);
    // Python rounds halves to even.
    let offset = |side: u32| (f64::from(side - size) / 2.0).round_ties_even() as u32;
    crop(&image, offset(width), offset(height), size, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_shape_becomes_a_square_of_that_size() {
        for (w, h) in [(1, 1), (640, 480), (480, 641), (3, 900)] {
            let square = clip_preprocess(&Rgb::filled(w, h, [1, 2, 3]), 64);
            assert_eq!(square, Rgb::filled(64, 64, [1, 2, 3]));
        }
    }
}
