//! Aligned comparison of two pictures: shift, scale, crop, small rotation, brightness and contrast.

use std::cell::OnceCell;

use clip_image::Rgb;

use crate::padding::padding;
use crate::placement::Placement;
use crate::thumb::Plane;

/// Points a side of the grid on which two pictures are compared.
pub(crate) const GRID: usize = 32;

/// A thumbnail ready to be compared: at several sizes, so that no sampling skips pixels.
pub(crate) struct Ready<'a> {
    thumb: &'a Rgb,
    levels: Vec<Level>,
    colours: OnceCell<[Plane; 3]>,
}

/// A picture at one size.
pub(crate) struct Level {
    pub luma: Plane,
    /// The share of each pixel that is padding, where the picture has any.
    padding: Option<Plane>,
}

impl Level {
    /// How much of what is sampled at a point of the unit square is padding.
    pub fn padded(&self, (x, y): (f32, f32)) -> f32 {
        let at = |p: &Plane| p.at(x * p.width as f32 - 0.5, y * p.height as f32 - 0.5);
        self.padding.as_ref().map_or(0.0, at)
    }

    fn halved(&self) -> Self {
        let half = |plane: &Plane| plane.resized(plane.width / 2, plane.height / 2);
        Self { luma: half(&self.luma), padding: self.padding.as_ref().map(half) }
    }
}

/// Whether two pictures can be compared at a point: where neither was only filled up.
pub(crate) fn comparable(padded: f32, other: f32) -> bool {
    padded.max(other) < 0.1
}

impl<'a> Ready<'a> {
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

    /// The level whose pixels are about as far apart as points are, given as shares of width and height.
    pub fn level(&self, [across, down]: [f32; 2]) -> &Level {
        let apart = |plane: &Plane| (plane.width as f32 * across).max(plane.height as f32 * down);
        let fits = |level: &&Level| apart(&level.luma) < 1.5;
        self.levels.iter().find(fits).unwrap_or(&self.levels[self.levels.len() - 1])
    }
}

/// Points of the second picture, evenly over a rectangle of it.
pub(crate) fn points([left, top, right, bottom]: [f32; 4], side: usize) -> Vec<(f32, f32)> {
    let step = |i: usize| (i as f32 + 0.5) / side as f32;
    let point = |i: usize| {
        let (x, y) = (step(i % side), step(i / side));
        (left + (right - left) * x, top + (bottom - top) * y)
    };
    (0..side * side).map(point).collect()
}

/// How far apart such points are, in the second picture and in the first.
pub(crate) fn spacing(
    [left, top, right, bottom]: [f32; 4],
    side: usize,
    placement: &Placement,
) -> [[f32; 2]; 2] {
    let [across, down] = [(right - left) / side as f32, (bottom - top) / side as f32];
    [[across, down], [across * placement.affine[0], down * placement.affine[4]]]
}

/// What the plane shows at the points of its own unit square.
pub(crate) fn sample(plane: &Plane, points: impl Iterator<Item = (f32, f32)>) -> Vec<f32> {
    let (w, h) = (plane.width as f32, plane.height as f32);
    points.map(|(x, y)| plane.at(x * w - 0.5, y * h - 0.5)).collect()
}

/// Points a side of the grids on which two pictures are aligned.
const COARSE: usize = 16;
const FINE: usize = 24;
/// Least correlation, on the coarse grid, of a pair that is compared on the fine one.
const LEAST: f32 = 0.7;

/// The placement around `start` at which the two agree best: on a coarse grid, then on a fine one.
pub(crate) fn refine(a: &Ready, b: &Ready, start: Placement) -> Option<Placement> {
    Some(searched(a, b, start)?.0)
}

/// The same for a start that is nearly right, if it is right: where that leads to, or a coarse grid, whichever is
/// better.
pub(crate) fn settle(a: &Ready, b: &Ready, start: Placement) -> Option<Placement> {
    let near = descend(a, b, start, FINE, 5);
    let far = if near.is_some_and(|(_, agreement)| agreement > 0.95) {
        None
    } else {
        searched(a, b, start)
    };
    let found = near.into_iter().chain(far).max_by(|a, b| a.1.total_cmp(&b.1));
    found.filter(|(_, agreement)| *agreement >= LEAST).map(|(placement, _)| placement)
}

fn searched(a: &Ready, b: &Ready, start: Placement) -> Option<(Placement, f32)> {
    // What does not fit by now will not.
    let (coarse, _) = descend(a, b, start, COARSE, 8).filter(|found| found.1 >= LEAST)?;
    descend(a, b, coarse, FINE, 4)
}

/// Gauss-Newton steps on the six numbers, towards equal luma up to brightness and contrast.
///
/// Gives the placement of highest correlation on the way, and that correlation.
fn descend(
    a: &Ready,
    b: &Ready,
    start: Placement,
    side: usize,
    steps: usize,
) -> Option<(Placement, f32)> {
    let common = start.common()?;
    let [step, there] = spacing(common, side, &start);
    let (own, level) = (b.level(step), a.level(there));
    let grid = points(common, side);
    let target = sample(&own.luma, grid.iter().copied());
    let padded: Vec<f32> = grid.iter().map(|&point| own.padded(point)).collect();
    let (w, h) = (level.luma.width as f32, level.luma.height as f32);
    let mut placement = start;
    let mut best: Option<(Placement, f32)> = None;
    let mut seen: Vec<[f32; 6]> = Vec::with_capacity(grid.len());
    for left in (0..=steps).rev() {
        seen.clear();
        let mut sums = Sums::default();
        for ((&(x, y), &wanted), &padded) in grid.iter().zip(&target).zip(&padded) {
            let (u, v) = placement.map(x, y);
            let inside = (-0.01..=1.01).contains(&u) && (-0.01..=1.01).contains(&v);
            if inside && comparable(level.padded((u, v)), padded) {
                let [value, gx, gy] = level.luma.slope(u * w - 0.5, v * h - 0.5);
                sums.add(value, wanted);
                seen.push([value, gx * w, gy * h, wanted, x - 0.5, y - 0.5]);
            }
        }
        let (va, vb) = sums.variances();
        if seen.len() < 40 || va < 1.0 || vb < 1.0 {
            break;
        }
        let agreement = sums.correlation();
        if best.is_none_or(|(_, old)| agreement > old) {
            best = Some((placement, agreement));
        }
        let Some(step) = (left > 0).then(|| step_of(&seen, &sums)).flatten() else { break };
        let [da, db, dc, dd, de, df] = step.map(|v| v.clamp(-0.08, 0.08));
        // The step is around the centre of the second picture.
        let change = [da, db, dc - 0.5 * (da + db), dd, de, df - 0.5 * (dd + de)];
        placement.affine.iter_mut().zip(change).for_each(|(value, change)| *value += change);
        if step.iter().all(|v| v.abs() < 1e-3) || !placement.plausible([a.sides(), b.sides()]) {
            break;
        }
    }
    best
}

/// One Gauss-Newton step of (value, gradient, wanted, place) over the points seen.
fn step_of(seen: &[[f32; 6]], sums: &Sums) -> Option<[f32; 6]> {
    let (va, vb) = sums.variances();
    let n = sums.n;
    let (ma, mb) = (sums.a / n, sums.b / n);
    let (sa, sb) = (1.0 / va.sqrt(), 1.0 / vb.sqrt());
    // Eight to a line, the last of nothing: whole lanes.
    let mut normal = [[0f32; 8]; 6];
    for &[value, gx, gy, wanted, cx, cy] in seen {
        let (gx, gy) = (gx * sa, gy * sa);
        let residual = (wanted - mb) * sb - (value - ma) * sa;
        let row = [gx * cx, gx * cy, gx, gy * cx, gy * cy, gy, residual, 0.0];
        for (line, factor) in normal.iter_mut().zip(row) {
            line.iter_mut().zip(row).for_each(|(cell, value)| *cell += factor * value);
        }
    }
    for (j, line) in normal.iter_mut().enumerate() {
        // Shear and rotation are held more firmly than scale and shift.
        line[j] *= if j == 1 || j == 3 { 1.5 } else { 1.05 };
        line[j] += 1e-3;
    }
    solve(normal)
}

/// Sums of pairs.
#[derive(Default)]
pub(crate) struct Sums {
    pub n: f32,
    pub a: f32,
    pub b: f32,
    aa: f32,
    bb: f32,
    ab: f32,
}

impl Sums {
    pub fn add(&mut self, a: f32, b: f32) {
        self.n += 1.0;
        self.a += a;
        self.b += b;
        self.aa += a * a;
        self.bb += b * b;
        self.ab += a * b;
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
fn solve(mut m: [[f32; 8]; 6]) -> Option<[f32; 6]> {
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
