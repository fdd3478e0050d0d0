//! Aligned comparison of two pictures: shift, scale, crop, small rotation, brightness and contrast.

use std::cell::OnceCell;

use clip_image::Rgb;

use crate::placement::Placement;
use crate::thumb::Plane;

/// Points a side of the grid on which two pictures are compared.
pub(crate) const GRID: usize = 32;

/// A thumbnail ready to be compared: luma at several sizes, so that no sampling skips pixels.
pub(crate) struct Ready<'a> {
    thumb: &'a Rgb,
    levels: Vec<Plane>,
    colours: OnceCell<[Plane; 3]>,
}

impl<'a> Ready<'a> {
    pub fn new(thumb: &'a Rgb) -> Self {
        let mut levels = vec![Plane::luma(thumb)];
        while let Some(last) = levels.last()
            && last.width.min(last.height) >= 24
        {
            levels.push(last.resized(last.width / 2, last.height / 2));
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
        &self.levels[0]
    }

    /// The level whose pixels are about as far apart as points are, given as shares of width and height.
    pub fn level(&self, [across, down]: [f32; 2]) -> &Plane {
        let apart = |plane: &Plane| (plane.width as f32 * across).max(plane.height as f32 * down);
        let fits = |plane: &&Plane| apart(plane) < 1.5;
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

/// The placement near `start` at which the two agree best: on a coarse grid, then on a fine one.
pub(crate) fn refine(a: &Ready, b: &Ready, start: Placement) -> Option<Placement> {
    let (coarse, agreement) = descend(a, b, start, GRID / 2, 8)?;
    // What does not fit by now will not.
    if agreement < 0.6 {
        return None;
    }
    let (fine, _) = descend(a, b, coarse, GRID, 5)?;
    Some(fine)
}

/// Gauss-Newton steps on the six numbers, towards equal luma up to brightness and contrast.
///
/// Gives the placement and the correlation before the last step.
fn descend(
    a: &Ready,
    b: &Ready,
    start: Placement,
    side: usize,
    steps: usize,
) -> Option<(Placement, f32)> {
    let common = start.common()?;
    let grid = points(common, side);
    let [step, there] = spacing(common, side, &start);
    let target = sample(b.level(step), grid.iter().copied());
    let plane = a.level(there);
    let (w, h) = (plane.width as f32, plane.height as f32);
    let mut placement = start;
    let mut agreement = 0.0;
    let mut seen: Vec<[f32; 6]> = Vec::with_capacity(grid.len());
    for _ in 0..steps {
        seen.clear();
        let mut sums = Sums::default();
        for (&(x, y), &wanted) in grid.iter().zip(&target) {
            let (u, v) = placement.map(x, y);
            if (-0.01..=1.01).contains(&u) && (-0.01..=1.01).contains(&v) {
                let [value, gx, gy] = plane.slope(u * w - 0.5, v * h - 0.5);
                sums.add(value, wanted);
                seen.push([value, gx * w, gy * h, wanted, x - 0.5, y - 0.5]);
            }
        }
        let (va, vb) = sums.variances();
        if seen.len() < 40 || va < 1.0 || vb < 1.0 {
            return None;
        }
        agreement = sums.correlation();
        let next = step_of(&seen, &sums);
        let Some(step) = next else { break };
        let [da, db, dc, dd, de, df] = step.map(|v| v.clamp(-0.08, 0.08));
        // The step is around the centre of the second picture.
        let change = [da, db, dc - 0.5 * (da + db), dd, de, df - 0.5 * (dd + de)];
        placement.affine.iter_mut().zip(change).for_each(|(value, change)| *value += change);
        if !placement.plausible([a.sides(), b.sides()]) {
            return None;
        }
        if step.iter().all(|v| v.abs() < 1e-3) {
            break;
        }
    }
    Some((placement, agreement))
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
