//! Correlations of two aligned images.

use super::drawing::{Drawing, drawing};
use crate::alignment::{Sums, Transform, levels, shared, structure};
use crate::pyramid::{GRID, ImagePyramid, dot};

/// What a drawing in other colours loses of the agreement in colour.
const RECOLOURED: f32 = 1.5;

/// How alike two aligned images are.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Similarity {
    /// Correlation of luma over the common part.
    pub luma: f32,
    /// Correlation of its fine structure.
    pub fine: f32,
    /// Correlation of the three channels together.
    pub colour: f32,
    /// Share of the smaller image that is common.
    pub covered: f32,
    /// Standard deviation of luma in the common part (the lower of both), in levels.
    pub contrast: f32,
}

/// Compares over what is common in a transform; nothing where too little is.
pub(super) fn compare(
    a: &ImagePyramid,
    b: &ImagePyramid,
    transform: &Transform,
) -> Option<(Similarity, Drawing)> {
    let common = transform.common()?;
    let [left, top, right, bottom] = common;
    let (luma, fine) = structure(a, b, transform, common, GRID);
    let area = (right - left) * (bottom - top);
    // In the smaller image the common part is the larger share.
    let covered = area.max(area * transform.area()).min(1.0) * b.shown();
    let (da, db) = luma.variances();
    let drawing = drawing(a, b, transform, common);
    let similarity = Similarity {
        luma: luma.correlation(),
        fine: fine.correlation(),
        colour: colour(a, b, transform, common) - RECOLOURED * drawing.recoloured,
        covered,
        contrast: da.min(db).sqrt(),
    };
    Some((similarity, drawing))
}

/// Correlation of the channels: a tint must not count, a different drawing must.
fn colour(a: &ImagePyramid, b: &ImagePyramid, transform: &Transform, common: [f32; 4]) -> f32 {
    let side = GRID / 2;
    let (points, seen) = shared(levels(a, b, transform, common, side), transform, common, side);
    let count = seen.iter().sum::<f32>().max(1.0);
    // Around the mean first: of a channel that is nearly white all over, squares would leave no
    // digits for the rest.
    let centred = |values: Vec<f32>| -> Vec<f32> {
        let mean = dot(&values, &seen) / count;
        values.into_iter().map(|value| value - mean).collect()
    };
    let (mut all, mut others, mut counted) = (Vec::new(), Vec::new(), Vec::new());
    for (ca, cb) in a.colours().iter().zip(b.colours()) {
        let (x, y) = (centred(points[0].values(ca)), centred(points[1].values(cb)));
        let (va, vb) = Sums::over(&x, &y, &seen).variances();
        let contrast = va.max(vb).sqrt().min(16.0);
        let scaled = |values: Vec<f32>, variance: f32| {
            let scale = contrast / variance.sqrt().max(1e-3);
            values.into_iter().map(move |value| value * scale)
        };
        all.extend(scaled(x, va));
        others.extend(scaled(y, vb));
        counted.extend_from_slice(&seen);
    }
    Sums::over(&all, &others, &counted).correlation()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_image::Rgb;

    /// A tilted square in one colour on white, its edge a little darker.
    fn square(colour: [u8; 3]) -> Rgb {
        let pixel = |at: usize| {
            let (x, y) = ((at % 64) as f32 - 31.5, (at / 64) as f32 - 31.5);
            match x.abs() + y.abs() {
                far if far > 26.0 => [255; 3],
                edge if edge > 22.0 => colour.map(|value| value / 8 * 7),
                _ => colour,
            }
        };
        Rgb { width: 64, height: 64, data: (0..64 * 64).flat_map(pixel).collect() }
    }

    #[test]
    fn a_drawing_in_another_colour_is_another_drawing_and_a_tint_is_not() {
        let colour = |a: &Rgb, b: &Rgb| {
            let both = [a, b].map(ImagePyramid::new);
            compare(&both[0], &both[1], &Transform::WHOLE).unwrap().0.colour
        };
        let black = square([20; 3]);
        assert!(colour(&square([255, 150, 20]), &black) < 0.8);
        assert!(colour(&black, &square([30, 30, 220])) < 0.9);
        let tinted = Rgb {
            data: black.data.chunks(3).flat_map(|p| [p[0], p[1] / 5 * 4, p[2] / 5 * 3]).collect(),
            ..black.clone()
        };
        assert!(colour(&black, &tinted) > 0.99);
        // Without colours.
        let orange = square([200, 120, 60]);
        let grey =
            |p: &[u8]| [((u32::from(p[0]) + u32::from(p[1]) + u32::from(p[2])) / 3) as u8; 3];
        let plain = Rgb { data: orange.data.chunks(3).flat_map(grey).collect(), ..orange.clone() };
        assert!(colour(&orange, &plain) > 0.9);
    }

    #[test]
    fn a_channel_that_is_nearly_white_does_not_hide_the_others() {
        // Red is white but for one pixel here, and for what compression left of it there.
        let image = |red: &dyn Fn(usize) -> u8| {
            let pixel =
                |at: usize| [red(at), (at * at * 37 % 251) as u8, (at * at * 11 % 241) as u8];
            Rgb { width: 32, height: 32, data: (0..1024).flat_map(pixel).collect() }
        };
        let clean = image(&|at| if at == 500 { 254 } else { 255 });
        let other = image(&|at| 255 - (at * 7919 % 9) as u8);
        let found =
            compare(&ImagePyramid::new(&clean), &ImagePyramid::new(&other), &Transform::WHOLE)
                .unwrap();
        assert!(found.0.colour > 0.9, "{found:?}");
    }
}
