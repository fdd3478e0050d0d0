//! How alike two aligned images are.

use crate::align::{GRID, ImagePyramid, Level, Sums, leave_out, levels};
use crate::simd::{Points, dot};
use crate::thumb::Plane;
use crate::transform::Transform;

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

impl Similarity {
    /// One number in [0, 1]: all three correlations must be high.
    pub fn score(&self) -> f32 {
        let mean = 0.3 * self.luma + 0.5 * self.fine + 0.2 * self.colour;
        mean.clamp(0.0, 1.0)
    }
}

/// Compares over what is common in a placement; nothing where too little is.
pub(crate) fn likeness(
    a: &ImagePyramid,
    b: &ImagePyramid,
    placement: &Transform,
) -> Option<Similarity> {
    let common = placement.common()?;
    let [left, top, right, bottom] = common;
    let (luma, fine) = structure(a, b, placement, common, GRID);
    let area = (right - left) * (bottom - top);
    // In the smaller image the common part is the larger share.
    let covered = area.max(area * placement.area()).min(1.0);
    let (da, db) = luma.variances();
    Some(Similarity {
        luma: luma.correlation(),
        fine: fine.correlation(),
        colour: colour(a, b, placement, common),
        covered,
        contrast: da.min(db).sqrt(),
    })
}

/// Points over what is common, in the first image and in the second, and which of them both show.
fn shared(
    [a, b]: [&Level; 2],
    placement: &Transform,
    common: [f32; 4],
    side: usize,
) -> ([Points; 2], Vec<f32>) {
    let here = Points::over(common, side);
    let there = placement.mapped(&here);
    let mut seen = vec![1.0; here.x.len()];
    leave_out(&mut seen, a.shown(&there).as_deref());
    leave_out(&mut seen, b.shown(&here).as_deref());
    ([there, here], seen)
}

/// Luma, and what of it a blur takes away, on `side` times `side` points.
pub(crate) fn structure(
    a: &ImagePyramid,
    b: &ImagePyramid,
    placement: &Transform,
    common: [f32; 4],
    side: usize,
) -> (Sums, Sums) {
    let levels = levels(a, b, placement, common, side);
    let (points, seen) = shared(levels, placement, common, side);
    let plane = |at: usize| {
        let data = points[at].values(&levels[at].luma);
        Plane { width: side, height: side, data }
    };
    let (pa, pb) = (plane(0), plane(1));
    let fine = |plane: &Plane| -> Vec<f32> {
        plane.data.iter().zip(plane.blurred(2).data).map(|(value, mean)| value - mean).collect()
    };
    (Sums::over(&pa.data, &pb.data, &seen), Sums::over(&fine(&pa), &fine(&pb), &seen))
}

/// Correlation of the channels: a tint must not count, a different drawing must.
fn colour(a: &ImagePyramid, b: &ImagePyramid, placement: &Transform, common: [f32; 4]) -> f32 {
    let side = GRID / 2;
    let (points, seen) = shared(levels(a, b, placement, common, side), placement, common, side);
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

    #[test]
    fn a_channel_that_is_nearly_white_does_not_hide_the_others() {
        // Red is white but for one pixel here, and for what compression left of it there.
        let picture = |red: &dyn Fn(usize) -> u8| {
            let pixel =
                |at: usize| [red(at), (at * at * 37 % 251) as u8, (at * at * 11 % 241) as u8];
            Rgb { width: 32, height: 32, data: (0..1024).flat_map(pixel).collect() }
        };
        let clean = picture(&|at| if at == 500 { 254 } else { 255 });
        let other = picture(&|at| 255 - (at * 7919 % 9) as u8);
        let found =
            likeness(&ImagePyramid::new(&clean), &ImagePyramid::new(&other), &Transform::WHOLE)
                .unwrap();
        assert!(found.colour > 0.9, "{found:?}");
    }
}
