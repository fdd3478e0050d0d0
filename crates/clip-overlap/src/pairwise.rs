//! Two small images, compared without any set around them.

use clip_image::Rgb;

use crate::alignment::{Probe, Target, Transform, align, grid};
use crate::pyramid::{self, ImagePyramid};
use crate::score::{parts, score};

/// What of an image is compared: a small one of the same shape.
pub fn thumbnail(image: &Rgb) -> Rgb {
    pyramid::thumbnail(image)
}

/// The score of two thumbnails, in [0, 1], laid edge on edge or where they fit best: the same score
/// as that of an evaluation item and an image.
pub fn pair_score(a: &Rgb, b: &Rgb) -> f32 {
    let (a, b) = (ImagePyramid::new(a), ImagePyramid::new(b));
    let from = |start| Some(score(&parts(&a, &b, &align(&a, &b, start)?)?));
    let whole = from(Transform::WHOLE).unwrap_or(0.0);
    // Most copies are edge on edge; the search for another place costs more than that.
    if whole >= 0.95 {
        return whole;
    }
    let (_, start) = Probe::new(&grid(b.luma())).search(&Target::new(&grid(a.luma())));
    whole.max(from(start).unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_image::{Filter, resize};

    fn image(seed: u8) -> Rgb {
        let data =
            (0..6 * 6 * 3u32).map(|i| (i * 97 + u32::from(seed) * 61) as u8 ^ seed).collect();
        resize(&Rgb { width: 6, height: 6, data }, 200, 150, Filter::Bicubic)
    }

    #[test]
    fn copies_are_alike_and_others_are_not() {
        let a = image(3);
        let copy = thumbnail(&resize(&a, 90, 70, Filter::Area));
        assert!(pair_score(&thumbnail(&a), &copy) > 0.95);
        assert!(pair_score(&thumbnail(&a), &thumbnail(&image(200))) < 0.6);
    }

    #[test]
    fn deduplication_scores_a_pair_as_contamination_does() {
        use crate::search::{CandidateOptions, Fingerprint, Query, SetIndex, WORKING};
        let whole = resize(&image(7), 320, 240, Filter::Bicubic);
        // Half as wide as it was: what bends costs the same in both.
        let copy = resize(&whole, 210, 240, Filter::Area);
        let set = SetIndex::new(vec![Fingerprint::of(&whole)], &CandidateOptions::default());
        let query = Query::of(&copy, WORKING);
        let found = &set.search(&query, &set.nearest(&[&query])[0], &[])[0];
        let pair = pair_score(&thumbnail(&whole), &thumbnail(&copy));
        assert!((found.score - pair).abs() < 0.02, "{} {pair}", found.score);
        let part = clip_image::crop(&whole, 0, 0, 300, 228);
        let query = Query::of(&part, WORKING);
        let found = &set.search(&query, &set.nearest(&[&query])[0], &[])[0];
        let pair = pair_score(&thumbnail(&whole), &thumbnail(&part));
        assert!((found.score - pair).abs() < 0.02, "{} {pair}", found.score);
    }
}
