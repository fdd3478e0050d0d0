//! Aligned comparison of two images: shift, scale, crop, small rotation, brightness and contrast.

use std::cell::OnceCell;

use clip_image::Rgb;

use crate::padding::padding;
use crate::simd::{Gradients, Points, gram};
use crate::similarity::structure;
use crate::thumb::Plane;
use crate::transform::Transform;

/// Points a side of the grid on which two images are compared.
pub(crate) const GRID: usize = 32;

/// A thumbnail ready to be compared: at several sizes, so that no sampling skips pixels.
pub(crate) struct ImagePyramid<'a> {
    thumb: &'a Rgb,
    levels: Vec<Level>,
    colours: OnceCell<[Plane; 3]>,
}

/// An image at one size.
pub(crate) struct Level {
    pub luma: Plane,
    /// The share of each pixel that is padding, where the image has any.
    padding: Option<Plane>,
}

impl Level {
    /// 1 at the points where something is shown, 0 where the image was only filled up; nothing
    /// where it nowhere was.
    pub fn shown(&self, points: &Points) -> Option<Vec<f32>> {
        let padded = points.values(self.padding.as_ref()?);
        Some(padded.into_iter().map(|share| f32::from(share < 0.1)).collect())
    }

    fn halved(&self) -> Self {
        let half = |plane: &Plane| plane.resized(plane.width / 2, plane.height / 2);
        Self { luma: half(&self.luma), padding: self.padding.as_ref().map(half) }
    }
}

/// Leaves out the points where an image was only filled up.
pub(crate) fn leave_out(seen: &mut [f32], shown: Option<&[f32]>) {
    seen.iter_mut().zip(shown.into_iter().flatten()).for_each(|(seen, shown)| *seen *= shown);
}

impl<'a> ImagePyramid<'a> {
    pub fn new(thumb: &'a Rgb) -> Self {
        let mut levels = vec![Level { luma: Plane::luma(thumb), padding: padding(thumb) }];
        while let Some(last) = levels.last()
            && last.luma.width.min(last.luma.height) >= 24
        {
            levels.push(last.halved());
        }
        Self { thumb, levels, colours: OnceCell::new() }
    }

    /// The three channels at half the grid's size: few pairs get so far that these are looked at.
    pub fn colours(&self) -> &[Plane; 3] {
        let half = |length: u32| (length as usize).min(GRID / 2);
        let (width, height) = (half(self.thumb.width), half(self.thumb.height));
        let channel = |c| Plane::channel(self.thumb, c).resized(width, height);
        self.colours.get_or_init(|| [0, 1, 2].map(channel))
    }

    /// Width and height in pixels.
    pub fn sides(&self) -> (u32, u32) {
        (self.thumb.width, self.thumb.height)
    }

    /// Luma in full.
    pub fn luma(&self) -> &Plane {
        &self.levels[0].luma
    }

    /// The level whose pixels are about as far apart as points are, given as shares of width and
    /// height.
    pub fn level(&self, [across, down]: [f32; 2]) -> &Level {
        let apart = |plane: &Plane| (plane.width as f32 * across).max(plane.height as f32 * down);
        let fits = |level: &&Level| apart(&level.luma) < 1.5;
        self.levels.iter().find(fits).unwrap_or(&self.levels[self.levels.len() - 1])
    }
}

/// The levels of both that suit `side` times `side` points over a rectangle of the second image.
pub(crate) fn levels<'a>(
    a: &'a ImagePyramid,
    b: &'a ImagePyramid,
    placement: &Transform,
    [left, top, right, bottom]: [f32; 4],
    side: usize,
) -> [&'a Level; 2] {
    let [across, down] = [(right - left) / side as f32, (bottom - top) / side as f32];
    let there = [across * placement.affine[0], down * placement.affine[4]];
    [a.level(there), b.level([across, down])]
}

/// Points a side of the grids on which two images are aligned.
const COARSE: usize = 16;
const FINE: usize = 24;
/// Least correlation after two steps of a pair that is worth more of them. Of the copies that end
/// with a score of 0.8, one in a thousand has less; of all candidates, half.
const PROMISING: f32 = 0.72;
/// Least correlation, on the coarse grid, of a pair that is compared on the fine one.
const LEAST: f32 = 0.76;
/// Least correlation of what a blur takes away, there: of the copies that end with a score of 0.7,
/// none has less.
const DRAWN: f32 = 0.5;
/// Least correlation, on the fine grid, of a pair that is compared in full.
const FITTING: f32 = 0.74;
/// A step that gains no more than this leads nowhere; after two of them, none follows.
const GAIN: f32 = 1e-3;

/// The placement around `start` at which the two agree best: on a coarse grid, then on a fine one.
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
    found.filter(|(_, agreement)| *agreement >= FITTING).map(|(placement, _)| placement)
}

fn searched(a: &ImagePyramid, b: &ImagePyramid, start: Transform) -> Option<(Transform, f32)> {
    let (coarse, _) = gauss_newton(a, b, start, COARSE, 8).filter(|found| found.1 >= LEAST)?;
    let (_, fine) = structure(a, b, &coarse, coarse.common()?, COARSE);
    if fine.correlation() < DRAWN {
        return None;
    }
    gauss_newton(a, b, coarse, FINE, 4)
}

/// Gauss-Newton steps on the six numbers, towards equal luma up to brightness and contrast.
///
/// Gives the placement of highest correlation on the way, and that correlation.
fn gauss_newton(
    a: &ImagePyramid,
    b: &ImagePyramid,
    start: Transform,
    side: usize,
    steps: usize,
) -> Option<(Transform, f32)> {
    let common = start.common()?;
    let [level, own] = levels(a, b, &start, common, side);
    let grid = Points::over(common, side);
    let (wanted, shown) = (grid.values(&own.luma), own.shown(&grid));
    let mut slopes = Gradients::default();
    let mut placement = start;
    let mut best: Option<(Transform, f32)> = None;
    let mut idle = 0;
    for taken in 0..=steps {
        let places = placement.mapped(&grid);
        let mut seen = places.inside();
        leave_out(&mut seen, shown.as_deref());
        leave_out(&mut seen, level.shown(&places).as_deref());
        places.slopes(&level.luma, &mut slopes);
        let sums = Sums::over(&slopes.0[0], &wanted, &seen);
        let (va, vb) = sums.variances();
        if sums.n < 40.0 || va < 1.0 || vb < 1.0 {
            break;
        }
        let (agreement, old) = (sums.correlation(), best.map_or(-1.0, |best| best.1));
        if agreement > old {
            best = Some((placement, agreement));
        }
        idle = if agreement > old + GAIN { 0 } else { idle + 1 };
        let hopeless = taken == 2 && agreement.max(old) < PROMISING;
        if taken == steps || idle == 2 || hopeless {
            break;
        }
        let Some(step) = step_of(&grid, &slopes, &wanted, &seen, &sums) else { break };
        let [da, db, dc, dd, de, df] = step.map(|v| v.clamp(-0.08, 0.08));
        // The step is around the centre of the second image.
        let change = [da, db, dc - 0.5 * (da + db), dd, de, df - 0.5 * (dd + de)];
        placement.affine.iter_mut().zip(change).for_each(|(value, change)| *value += change);
        if step.iter().all(|v| v.abs() < 1e-3) || !placement.plausible([a.sides(), b.sides()]) {
            break;
        }
    }
    best
}

/// One Gauss-Newton step over the points seen, towards what is wanted there.
fn step_of(
    grid: &Points,
    Gradients([value, across, down]): &Gradients,
    wanted: &[f32],
    seen: &[f32],
    sums: &Sums,
) -> Option<[f32; 6]> {
    let (va, vb) = sums.variances();
    let (ma, mb) = (sums.a / sums.n, sums.b / sums.n);
    let (sa, sb) = (1.0 / va.sqrt(), 1.0 / vb.sqrt());
    let weights: Vec<f32> = seen.iter().map(|seen| seen * sa).collect();
    let weighted = |g: &[f32]| g.iter().zip(&weights).map(|(g, w)| g * w).collect::<Vec<f32>>();
    let centred = |g: &[f32], place: &[f32]| -> Vec<f32> {
        g.iter().zip(place).map(|(g, place)| g * (place - 0.5)).collect()
    };
    let (gx, gy) = (weighted(across), weighted(down));
    let values = value.iter().zip(wanted).zip(seen);
    let residual = values.map(|((a, b), seen)| seen * ((b - mb) * sb - (a - ma) * sa));
    let normal = gram(&[
        centred(&gx, &grid.x),
        centred(&gx, &grid.y),
        centred(&gy, &grid.x),
        centred(&gy, &grid.y),
        residual.collect(),
        gx,
        gy,
    ]);
    // In the order of the six numbers, with what is wanted at the end.
    const ORDER: [usize; 7] = [0, 1, 5, 2, 3, 6, 4];
    let line = |i: usize| ORDER.map(|j| normal[ORDER[i]][j]);
    let mut normal: [[f32; 7]; 6] = std::array::from_fn(line);
    for (j, line) in normal.iter_mut().enumerate() {
        // Shear and rotation are held more firmly than scale and shift.
        line[j] *= if j == 1 || j == 3 { 1.5 } else { 1.05 };
        line[j] += 1e-3;
    }
    solve(normal)
}

/// Sums of pairs.
pub(crate) struct Sums {
    pub n: f32,
    pub a: f32,
    pub b: f32,
    aa: f32,
    bb: f32,
    ab: f32,
}

impl Sums {
    /// Over the points seen: 1 where one is, else 0.
    pub fn over(a: &[f32], b: &[f32], seen: &[f32]) -> Self {
        let seen_of = |v: &[f32]| v.iter().zip(seen).map(|(v, seen)| v * seen).collect();
        let [[aa, ab, a], [_, bb, b], [_, _, n]] = gram(&[seen_of(a), seen_of(b), seen.to_vec()]);
        Self { n, a, b, aa, bb, ab }
    }

    pub fn variances(&self) -> (f32, f32) {
        let n = self.n.max(1.0);
        let square = |sum: f32| (sum / n) * (sum / n);
        ((self.aa / n - square(self.a)).max(0.0), (self.bb / n - square(self.b)).max(0.0))
    }

    /// Pearson's, 0 where one of the two is flat: what has no contrast proves nothing.
    pub fn correlation(&self) -> f32 {
        let (va, vb) = self.variances();
        if va < 1.0 || vb < 1.0 {
            return 0.0;
        }
        (self.ab / self.n - self.a / self.n * (self.b / self.n)) / (va * vb).sqrt()
    }
}

/// Gauss's elimination with pivots.
fn solve(mut m: [[f32; 7]; 6]) -> Option<[f32; 6]> {
    for column in 0..6 {
        let pivot =
            (column..6).max_by(|&a, &b| m[a][column].abs().total_cmp(&m[b][column].abs()))?;
        m.swap(column, pivot);
        if m[column][column].abs() < 1e-9 {
            return None;
        }
        let lead = m[column];
        for (row, line) in m.iter_mut().enumerate() {
            if row != column {
                let factor = line[column] / lead[column];
                line.iter_mut().zip(lead).for_each(|(v, l)| *v -= factor * l);
            }
        }
    }
    Some(std::array::from_fn(|i| m[i][6] / m[i][i]))
}
