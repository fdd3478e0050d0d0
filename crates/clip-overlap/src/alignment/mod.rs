//! Aligned comparison of two images: shift, scale, crop, small rotation, brightness and contrast.

mod coarse;
mod gauss_newton;
mod overlay;
mod rectified;
mod sums;
mod transform;

pub(crate) use coarse::{Probe, SIDE, Target, grid};
use gauss_newton::gauss_newton;
pub(crate) use overlay::{levels, shared, structure};
pub(crate) use rectified::{add_covered, rectified};
pub(crate) use sums::Sums;
pub use transform::Transform;

use crate::pyramid::ImagePyramid;

/// Points a side of the grids on which two images are aligned.
const COARSE: usize = 16;
const FINE: usize = 24;
/// Least correlation, on the coarse grid, of a pair that is compared on the fine one.
const LEAST: f32 = 0.76;
/// Least correlation of what a blur takes away, there: of the copies that end with a score of 0.7,
/// none has less.
const DRAWN: f32 = 0.5;
/// Least correlation, on the fine grid, of a pair that is compared in full.
const FITTING: f32 = 0.74;

/// The transform around `start` at which the two agree best: on a coarse grid, then on a fine one.
pub(crate) fn align(a: &ImagePyramid, b: &ImagePyramid, start: Transform) -> Option<Transform> {
    fitting(searched(a, b, start))
}

/// The same for a start that is nearly right, if it is right: where that leads to, or a coarse
/// grid, whichever is better.
pub(crate) fn refine_near(
    a: &ImagePyramid,
    b: &ImagePyramid,
    start: Transform,
) -> Option<Transform> {
    let near = gauss_newton(a, b, start, FINE, 5);
    let far = if near.is_some_and(|(_, agreement)| agreement > 0.95) {
        None
    } else {
        searched(a, b, start)
    };
    fitting(near.into_iter().chain(far).max_by(|a, b| a.1.total_cmp(&b.1)))
}

fn fitting(found: Option<(Transform, f32)>) -> Option<Transform> {
    found.filter(|(_, agreement)| *agreement >= FITTING).map(|(transform, _)| transform)
}

fn searched(a: &ImagePyramid, b: &ImagePyramid, start: Transform) -> Option<(Transform, f32)> {
    let (coarse, _) = gauss_newton(a, b, start, COARSE, 8).filter(|found| found.1 >= LEAST)?;
    let (_, fine) = structure(a, b, &coarse, coarse.common()?, COARSE);
    if fine.correlation() < DRAWN {
        return None;
    }
    gauss_newton(a, b, coarse, FINE, 4)
}
