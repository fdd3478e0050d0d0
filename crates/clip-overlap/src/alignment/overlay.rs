//! One image laid over another: the points that both show, and how luma agrees there.

use super::sums::Sums;
use super::transform::Transform;
use crate::pyramid::{ImagePyramid, Level, Plane, Points, apply_mask};

/// The levels of both that suit `side` times `side` points over a rectangle of the second image.
pub(crate) fn levels<'a>(
    a: &'a ImagePyramid,
    b: &'a ImagePyramid,
    transform: &Transform,
    [left, top, right, bottom]: [f32; 4],
    side: usize,
) -> [&'a Level; 2] {
    let [across, down] = [(right - left) / side as f32, (bottom - top) / side as f32];
    let there = [across * transform.affine[0], down * transform.affine[4]];
    [a.level(there), b.level([across, down])]
}

/// Points over what is common, in the first image and in the second, and which of them both show.
pub(crate) fn shared(
    [a, b]: [&Level; 2],
    transform: &Transform,
    common: [f32; 4],
    side: usize,
) -> ([Points; 2], Vec<f32>) {
    let here = Points::over(common, side);
    let there = transform.mapped(&here);
    let mut seen = vec![1.0; here.x.len()];
    apply_mask(&mut seen, a.validity_mask(&there).as_deref());
    apply_mask(&mut seen, b.validity_mask(&here).as_deref());
    ([there, here], seen)
}

/// Luma, and what of it a blur takes away, on `side` times `side` points.
pub(crate) fn structure(
    a: &ImagePyramid,
    b: &ImagePyramid,
    transform: &Transform,
    common: [f32; 4],
    side: usize,
) -> (Sums, Sums) {
    let levels = levels(a, b, transform, common, side);
    let (points, seen) = shared(levels, transform, common, side);
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
