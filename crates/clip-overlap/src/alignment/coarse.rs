//! The first, cheapest comparison: do the outlines of 16 x 16 images agree, over shifts and zooms?
//!
//! What a blur leaves is taken away first: most images are bright above and dark below, and agree
//! in that.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined there is compiled for any processor"
)]

use pulp::{Arch, NullaryFnOnce};

use super::transform::Transform;
use crate::pyramid::Plane;

/// Points a side.
pub(crate) const SIDE: usize = 16;
/// Cells by which one image is shifted over the other, either way.
const REACH: usize = 2;
/// Ways to shift on each axis.
const SHIFTS: usize = 2 * REACH + 1;
const WIDE: usize = SIDE + 2 * REACH;
/// Side of the second image, the first's being 1.
const ZOOMS: [f32; 3] = [1.0, 0.85, 1.18];
/// Least sum of squares of either image over the common part, where the largest value is 127.
const LEAST: f32 = 256.0;

/// An item's side of the comparison: values around zero with a rim of zeros.
pub(crate) struct Target {
    values: [f32; WIDE * WIDE],
    squares: Squares,
}

impl Target {
    /// From a plane of 16 x 16.
    pub fn new(plane: &[u8; SIDE * SIDE]) -> Self {
        let values = rimmed(&plane.map(around_zero));
        Self { squares: Squares::of(&values), values }
    }
}

/// The plane that a [`Target`] and a [`Probe`] are made of: what a blur takes away of an image,
/// around 128 and scaled to at most 127 either way.
pub(crate) fn grid(luma: &Plane) -> [u8; SIDE * SIDE] {
    let small = luma.resized(SIDE, SIDE);
    let mean = small.blurred(2);
    let fine: [f32; SIDE * SIDE] = std::array::from_fn(|at| small.data[at] - mean.data[at]);
    let most = fine.iter().fold(1e-3f32, |most, value| most.max(value.abs()));
    fine.map(|value| (value * (127.0 / most) + 128.0).round() as u8)
}

fn around_zero(value: u8) -> f32 {
    f32::from(value) - 128.0
}

fn rimmed(values: &[f32; SIDE * SIDE]) -> [f32; WIDE * WIDE] {
    let mut wide = [0.0; WIDE * WIDE];
    for (y, row) in values.chunks_exact(SIDE).enumerate() {
        wide[(y + REACH) * WIDE + REACH..][..SIDE].copy_from_slice(row);
    }
    wide
}

/// Sums of the squares above and left of every corner of a cell: four of them give the sum over any
/// rectangle.
struct Squares([f32; (WIDE + 1) * (WIDE + 1)]);

impl Squares {
    fn of(values: &[f32; WIDE * WIDE]) -> Self {
        let mut sums = [0.0; (WIDE + 1) * (WIDE + 1)];
        for y in 0..WIDE {
            let mut line = 0.0;
            for x in 0..WIDE {
                line += values[y * WIDE + x] * values[y * WIDE + x];
                sums[(y + 1) * (WIDE + 1) + x + 1] = sums[y * (WIDE + 1) + x + 1] + line;
            }
        }
        Self(sums)
    }

    /// Over a square from a corner on.
    #[inline(always)]
    fn over(&self, left: usize, top: usize, side: usize) -> f32 {
        let [upper, lower] = [top, top + side].map(|y| y * (WIDE + 1) + left);
        self.0[lower + side] - self.0[lower] - self.0[upper + side] + self.0[upper]
    }
}

struct Zoomed {
    zoom: f32,
    values: [f32; SIDE * SIDE],
    /// The first cell that the image reaches on each axis, and how many follow.
    first: usize,
    side: usize,
    /// Sums of squares over what each shift leaves common.
    squares: [f32; SHIFTS * SHIFTS],
}

/// An image's side of the comparison: itself at every zoom.
pub(crate) struct Probe {
    zoomed: [Zoomed; ZOOMS.len()],
}

impl Probe {
    /// From a plane of 16 x 16.
    pub fn new(plane: &[u8; SIDE * SIDE]) -> Self {
        let data = plane.iter().copied().map(around_zero).collect();
        let small = Plane { width: SIDE, height: SIDE, data };
        Self { zoomed: ZOOMS.map(|zoom| Zoomed::new(&small, zoom)) }
    }

    /// The best correlation, and where the image is in the item then.
    pub fn search(&self, target: &Target) -> (f32, Transform) {
        Arch::new().dispatch(Search { probe: self, target })
    }
}

struct Search<'a> {
    probe: &'a Probe,
    target: &'a Target,
}

impl NullaryFnOnce for Search<'_> {
    type Output = (f32, Transform);

    #[inline(always)]
    fn call(self) -> (f32, Transform) {
        let (mut most, mut best) = (-1.0, (&self.probe.zoomed[0], REACH, REACH));
        for zoomed in &self.probe.zoomed {
            for dy in 0..SHIFTS {
                for dx in 0..SHIFTS {
                    let found = zoomed.correlation(self.target, dx, dy);
                    if found > most {
                        (most, best) = (found, (zoomed, dx, dy));
                    }
                }
            }
        }
        let (zoomed, dx, dy) = best;
        (most, zoomed.transform(dx, dy))
    }
}

impl Zoomed {
    fn new(small: &Plane, zoom: f32) -> Self {
        let own = |at: usize| (((at as f32 + 0.5) / SIDE as f32) - 0.5) / zoom + 0.5;
        let inside = |at: &usize| (0.0..=1.0).contains(&own(*at));
        let first = (0..SIDE).find(inside).unwrap_or(0);
        let side = (0..SIDE).filter(inside).count();
        let mut values = [0.0; SIDE * SIDE];
        for y in first..first + side {
            for x in first..first + side {
                let (u, v) = (own(x), own(y));
                values[y * SIDE + x] = small.at(u * SIDE as f32 - 0.5, v * SIDE as f32 - 0.5);
            }
        }
        let all = Squares::of(&rimmed(&values));
        // Shifted over the item, what of the image stays within it is a square the other way.
        let common = |at: usize| all.over(2 * REACH - at % SHIFTS, 2 * REACH - at / SHIFTS, SIDE);
        Self { zoom, values, first, side, squares: std::array::from_fn(common) }
    }

    fn transform(&self, dx: usize, dy: usize) -> Transform {
        let shift = |d: usize| (1.0 - self.zoom) / 2.0 + (d as f32 - REACH as f32) / SIDE as f32;
        Transform::scaled(self.zoom, self.zoom, shift(dx), shift(dy))
    }

    #[inline(always)]
    fn correlation(&self, target: &Target, dx: usize, dy: usize) -> f32 {
        // Lanes side by side: the compiler may not reorder one sum of floats, but it may keep
        // sixteen.
        let mut products = [0f32; SIDE];
        for y in 0..SIDE {
            let theirs = &target.values[(y + dy) * WIDE + dx..][..SIDE];
            let own = &self.values[y * SIDE..][..SIDE];
            for x in 0..SIDE {
                products[x] += theirs[x] * own[x];
            }
        }
        let theirs = target.squares.over(self.first + dx, self.first + dy, self.side);
        let own = self.squares[dy * SHIFTS + dx];
        // A common part without contrast proves nothing.
        if theirs.min(own) < LEAST {
            return 0.0;
        }
        products.iter().sum::<f32>() / (theirs * own).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(f: impl Fn(f32, f32) -> f32) -> Plane {
        let data = (0..32 * 32).map(|at| f((at % 32) as f32, (at / 32) as f32)).collect();
        Plane { width: 32, height: 32, data }
    }

    fn wave(x: f32, y: f32) -> f32 {
        128.0 + 60.0 * (x * 0.55).sin() + 50.0 * (y * 0.4 + x * 0.2).cos()
    }

    #[test]
    fn a_shifted_image_is_found_where_it_is() {
        let item = Target::new(&grid(&plane(wave)));
        // The image shows what is 4 pixels further right and 2 further down.
        let probe = Probe::new(&grid(&plane(|x, y| wave(x + 4.0, y + 2.0))));
        let (found, transform) = probe.search(&item);
        assert!(found > 0.95, "{found}");
        let [a, _, tx, _, _, ty] = transform.affine;
        assert!((a - 1.0).abs() < 0.01 && (tx - 0.125).abs() < 0.04, "{transform:?}");
        assert!((ty - 0.0625).abs() < 0.04, "{transform:?}");
        let other = Probe::new(&grid(&plane(|x, y| 128.0 + 60.0 * (x * y * 0.02).sin())));
        assert!(other.search(&item).0 < 0.7);
    }
}
