//! Two small images, compared without any set around them.

use clip_image::Rgb;

use crate::align::{ImagePyramid, align};
use crate::coarse::{Probe, Target, grid};
use crate::thumb;
use crate::transform::Transform;

/// What of an image is compared: a small one of the same shape.
pub fn thumbnail(image: &Rgb) -> Rgb {
    thumb::thumbnail(image)
}

/// How alike two thumbnails are, in [0, 1], laid edge on edge or where they fit best.
pub fn likeness(a: &Rgb, b: &Rgb) -> f32 {
    let (a, b) = (ImagePyramid::new(a), ImagePyramid::new(b));
    let score = |start| {
        let placement = align(&a, &b, start)?;
        Some(crate::similarity::likeness(&a, &b, &placement)?.score())
    };
    let whole = score(Transform::WHOLE).unwrap_or(0.0);
    // Most copies lie edge on edge; the search for another place costs more than that.
    if whole >= 0.95 {
        return whole;
    }
    let (_, start) = Probe::new(&grid(b.luma())).search(&Target::new(&grid(a.luma())));
    whole.max(score(start).unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_image::{Filter, resize};

    fn picture(seed: u8) -> Rgb {
        let data =
            (0..6 * 6 * 3u32).map(|i| (i * 97 + u32::from(seed) * 61) as u8 ^ seed).collect();
        resize(&Rgb { width: 6, height: 6, data }, 200, 150, Filter::Bicubic)
    }

    #[test]
    fn copies_are_alike_and_others_are_not() {
        let a = picture(3);
        let copy = thumbnail(&resize(&a, 90, 70, Filter::Area));
        assert!(likeness(&thumbnail(&a), &copy) > 0.95);
        assert!(likeness(&thumbnail(&a), &thumbnail(&picture(200))) < 0.6);
    }
}
