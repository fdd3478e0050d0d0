//! The first, cheapest comparison: correlation of 16 x 16 pictures over shifts and zooms.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined there is compiled for any processor"
)]

use pulp::{Arch, NullaryFnOnce};

use crate::placement::Placement;
use crate::thumb::Plane;

/// Points a side.
pub(crate) const SIDE: usize = 16;
/// Cells by which one picture is shifted over the other, either way.
const REACH: usize = 2;
const WIDE: usize = SIDE + 2 * REACH;
/// Side of the second picture, the first's being 1.
const ZOOMS: [f32; 3] = [1.0, 0.85, 1.18];
/// Cells that must be common.
const LEAST: f32 = 90.0;

/// An item's side of the comparison: values around zero with a rim of zeros, and their squares.
pub(crate) struct Target {
    values: [f32; WIDE * WIDE],
    squares: [f32; WIDE * WIDE],
}

impl Target {
    /// From a plane of 16 x 16.
    pub fn new(plane: &[u8; SIDE * SIDE]) -> Self {
        let (mut values, mut squares) = ([0.0; WIDE * WIDE], [0.0; WIDE * WIDE]);
        for y in 0..SIDE {
            for x in 0..SIDE {
                let value = f32::from(plane[y * SIDE + x]) - 128.0;
                let at = (y + REACH) * WIDE + x + REACH;
                (values[at], squares[at]) = (value, value * value);
            }
        }
        Self { values, squares }
    }
}

/// The plane that [`Target`] and [`Probe`] are made of.
pub(crate) fn grid(luma: &Plane) -> [u8; SIDE * SIDE] {
    let small = luma.resized(SIDE, SIDE);
    std::array::from_fn(|at| small.data[at].round().clamp(0.0, 255.0) as u8)
}

struct Zoomed {
    zoom: f32,
    values: [f32; SIDE * SIDE],
    mask: [f32; SIDE * SIDE],
    /// Count, sum and sum of squares over what each shift leaves common.
    sums: Vec<[f32; 3]>,
}

/// A picture's side of the comparison: itself at every zoom.
pub(crate) struct Probe {
    zoomed: Vec<Zoomed>,
}

fn shifts() -> impl Iterator<Item = (usize, usize)> {
    (0..=2 * REACH).flat_map(|dy| (0..=2 * REACH).map(move |dx| (dx, dy)))
}

impl Probe {
    pub fn new(luma: &Plane) -> Self {
        let small = luma.resized(SIDE, SIDE);
        Self { zoomed: ZOOMS.iter().map(|&zoom| Zoomed::new(&small, zoom)).collect() }
    }

    /// The best correlation, and where the picture lies in the item then.
    pub fn search(&self, target: &Target) -> (f32, Placement) {
        Arch::new().dispatch(Search { probe: self, target })
    }
}

struct Search<'a> {
    probe: &'a Probe,
    target: &'a Target,
}

impl NullaryFnOnce for Search<'_> {
    type Output = (f32, Placement);

    #[inline(always)]
    fn call(self) -> (f32, Placement) {
        let mut best = (-1.0, Placement::WHOLE);
        for zoomed in &self.probe.zoomed {
            for ((dx, dy), own) in shifts().zip(&zoomed.sums) {
                let found = zoomed.correlation(self.target, dx, dy, *own);
                if found > best.0 {
                    best = (found, zoomed.placement(dx, dy));
                }
            }
        }
        best
    }
}

impl Zoomed {
    fn new(small: &Plane, zoom: f32) -> Self {
        let (mut values, mut mask) = ([0.0; SIDE * SIDE], [0.0; SIDE * SIDE]);
        for y in 0..SIDE {
            for x in 0..SIDE {
                let own = |at: usize| (((at as f32 + 0.5) / SIDE as f32) - 0.5) / zoom + 0.5;
                let (u, v) = (own(x), own(y));
                if (0.0..=1.0).contains(&u) && (0.0..=1.0).contains(&v) {
                    let value = small.at(u * SIDE as f32 - 0.5, v * SIDE as f32 - 0.5);
                    values[y * SIDE + x] = value - 128.0;
                    mask[y * SIDE + x] = 1.0;
                }
            }
        }
        let inside = |at: usize, shift: usize| (REACH..REACH + SIDE).contains(&(at + shift));
        let sums = shifts().map(|(dx, dy)| {
            let mut sums = [0.0; 3];
            for y in (0..SIDE).filter(|&y| inside(y, dy)) {
                for x in (0..SIDE).filter(|&x| inside(x, dx)) {
                    let value = values[y * SIDE + x];
                    sums[0] += mask[y * SIDE + x];
                    sums[1] += value;
                    sums[2] += value * value;
                }
            }
            sums
        });
        let sums = sums.collect();
        Self { zoom, values, mask, sums }
    }

    fn placement(&self, dx: usize, dy: usize) -> Placement {
        let shift = |d: usize| (1.0 - self.zoom) / 2.0 + (d as f32 - REACH as f32) / SIDE as f32;
        Placement::scaled(self.zoom, self.zoom, shift(dx), shift(dy))
    }

    #[inline(always)]
    fn correlation(&self, target: &Target, dx: usize, dy: usize, own: [f32; 3]) -> f32 {
        let [n, b, bb] = own;
        if n < LEAST {
            return -1.0;
        }
        // Lanes side by side: the compiler may not reorder one sum of floats, but it may keep sixteen.
        let (mut a, mut aa, mut ab) = ([0f32; SIDE], [0f32; SIDE], [0f32; SIDE]);
        for y in 0..SIDE {
            let at = (y + dy) * WIDE + dx;
            let (values, squares) = (&target.values[at..at + SIDE], &target.squares[at..at + SIDE]);
            let line = y * SIDE;
            let (mask, other) = (&self.mask[line..line + SIDE], &self.values[line..line + SIDE]);
            for x in 0..SIDE {
                a[x] += values[x] * mask[x];
                aa[x] += squares[x] * mask[x];
                ab[x] += values[x] * other[x];
            }
        }
        let sum = |lanes: [f32; SIDE]| lanes.iter().sum::<f32>();
        let (a, aa, ab) = (sum(a), sum(aa), sum(ab));
        let (va, vb) = (aa / n - (a / n) * (a / n), bb / n - (b / n) * (b / n));
        // A common part without contrast proves nothing.
        if va < 1.0 || vb < 1.0 {
            return 0.0;
        }
        (ab / n - a / n * (b / n)) / (va * vb).sqrt()
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
    fn a_shifted_picture_is_found_where_it_is() {
        let item = Target::new(&grid(&plane(wave)));
        // The picture shows what lies 4 pixels further right and 2 further down.
        let probe = Probe::new(&plane(|x, y| wave(x + 4.0, y + 2.0)));
        let (found, placement) = probe.search(&item);
        assert!(found > 0.95, "{found}");
        let [a, _, tx, _, _, ty] = placement.affine;
        assert!((a - 1.0).abs() < 0.01 && (tx - 0.125).abs() < 0.04, "{placement:?}");
        assert!((ty - 0.0625).abs() < 0.04, "{placement:?}");
        let other = Probe::new(&plane(|x, y| 128.0 + 60.0 * (x * y * 0.02).sin()));
        assert!(other.search(&item).0 < 0.7);
    }
}
