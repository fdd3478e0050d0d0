//! Sums and samples over many points at once, compiled for each width of vectors and run with the
//! widest that the processor has. Sixteen sums side by side, whatever the width: the results are
//! the same everywhere.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined there is compiled for any processor"
)]

use pulp::{Arch, NullaryFnOnce};

use super::plane::Plane;

/// Points that are handled at once: grids have a multiple of it.
pub(crate) const LANES: usize = 16;

type Lanes = [f32; LANES];

/// The sum of the products of two lists as long as each other.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    Arch::new().dispatch(Dot { a, b })
}

struct Dot<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl NullaryFnOnce for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn call(self) -> f32 {
        product(self.a, self.b)
    }
}

#[inline(always)]
fn product(a: &[f32], b: &[f32]) -> f32 {
    let ((a, rest), (b, others)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest.iter().zip(others).map(|(a, b)| a * b).sum::<f32>()
}

/// The products of every list with itself and with those after it: `[i][j]` for `i <= j`, and the
/// same mirrored.
pub(crate) fn gram<const N: usize>(rows: &[Vec<f32>; N]) -> [[f32; N]; N] {
    Arch::new().dispatch(Gram { rows })
}

struct Gram<'a, const N: usize> {
    rows: &'a [Vec<f32>; N],
}

impl<const N: usize> NullaryFnOnce for Gram<'_, N> {
    type Output = [[f32; N]; N];

    #[inline(always)]
    fn call(self) -> [[f32; N]; N] {
        let mut found = [[0.0; N]; N];
        for (i, a) in self.rows.iter().enumerate() {
            for (j, b) in self.rows.iter().enumerate().skip(i) {
                found[i][j] = product(a, b);
                found[j][i] = found[i][j];
            }
        }
        found
    }
}

/// Points in an image's unit square.
#[derive(Debug, Clone, Default)]
pub(crate) struct Points {
    pub x: Vec<f32>,
    pub y: Vec<f32>,
}

impl Points {
    /// `side` times `side` points, evenly over a rectangle: left, top, right, bottom.
    pub fn over([left, top, right, bottom]: [f32; 4], side: usize) -> Self {
        debug_assert!(
            (side * side).is_multiple_of(LANES),
            "points beyond whole lanes are not sampled"
        );
        let line = |from: f32, to: f32| {
            (0..side).map(move |i| from + (to - from) * ((i as f32 + 0.5) / side as f32))
        };
        Self {
            x: line(left, right).collect::<Vec<_>>().repeat(side),
            y: line(top, bottom).flat_map(|y| std::iter::repeat_n(y, side)).collect(),
        }
    }

    /// 1 for points within the unit square, or hardly outside, else 0.
    pub fn inside(&self) -> Vec<f32> {
        let within = |v: f32| f32::from(v >= -0.01) * f32::from(v <= 1.01);
        self.x.iter().zip(&self.y).map(|(&x, &y)| within(x) * within(y)).collect()
    }

    /// What a plane shows there, between pixels by bilinear mixing.
    pub fn values(&self, plane: &Plane) -> Vec<f32> {
        let mut value = vec![0.0; self.x.len()];
        Arch::new().dispatch(Sample { plane, points: self, value: &mut value, slopes: None });
        value
    }

    /// What a plane shows there, and how that changes over its whole width and height.
    pub fn slopes(&self, plane: &Plane, found: &mut Gradients) {
        let [value, across, down] = &mut found.0;
        for list in [&mut *value, &mut *across, &mut *down] {
            list.resize(self.x.len(), 0.0);
        }
        let slopes = Some([&mut across[..], &mut down[..]]);
        Arch::new().dispatch(Sample { plane, points: self, value, slopes });
    }
}

/// Value, change across and change down of each point.
#[derive(Debug, Default)]
pub(crate) struct Gradients(pub [Vec<f32>; 3]);

struct Sample<'a> {
    plane: &'a Plane,
    points: &'a Points,
    value: &'a mut [f32],
    slopes: Option<[&'a mut [f32]; 2]>,
}

impl NullaryFnOnce for Sample<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { plane, points, value, slopes } = self;
        let (x, y) = (points.x.as_chunks::<LANES>().0, points.y.as_chunks::<LANES>().0);
        let values = value.as_chunks_mut::<LANES>().0;
        let places = x.iter().zip(y).zip(values);
        // Loops and no `for_each`, whose closure might be compiled on its own.
        if let Some([across, down]) = slopes {
            let slopes = across.as_chunks_mut::<LANES>().0.iter_mut().zip(down.as_chunks_mut().0);
            for (((x, y), value), (across, down)) in places.zip(slopes) {
                (*value, *across, *down) = sampled(plane, x, y);
            }
        } else {
            for ((x, y), value) in places {
                *value = sampled(plane, x, y).0;
            }
        }
    }
}

/// A whole number from 0 to 2^23 as an integer: `as` has more cases, and no vector instruction for
/// them.
#[inline(always)]
fn whole(value: f32) -> u32 {
    const LOWEST: f32 = 8_388_608.0;
    (value + LOWEST).to_bits() - LOWEST.to_bits()
}

/// Value and slopes of sixteen points. Those outside have the value of the edge.
#[inline(always)]
fn sampled(plane: &Plane, x: &Lanes, y: &Lanes) -> (Lanes, Lanes, Lanes) {
    let (w, h) = (plane.width as f32, plane.height as f32);
    // The last pixel on whose right and below there is another; where there is none, the pixel
    // itself stands for it.
    let (right, below) = ((plane.width - 1).min(1), (plane.height - 1).min(1));
    let (last_x, last_y) = ((plane.width - 1 - right) as f32, (plane.height - 1 - below) as f32);
    let stride = plane.width as f32;
    let (mut at, mut fx, mut fy) = ([0u32; LANES], [0f32; LANES], [0f32; LANES]);
    for lane in 0..LANES {
        let u = (x[lane] * w - 0.5).clamp(0.0, w - 1.0);
        let v = (y[lane] * h - 0.5).clamp(0.0, h - 1.0);
        let (left, top) = (u.min(last_x).floor(), v.min(last_y).floor());
        (fx[lane], fy[lane]) = (u - left, v - top);
        at[lane] = whole(top * stride + left);
    }
    let mut corners = [[0f32; LANES]; 4];
    for lane in 0..LANES {
        let upper = &plane.data[at[lane] as usize..];
        let lower = &upper[below * plane.width..];
        corners[0][lane] = upper[0];
        corners[1][lane] = upper[right];
        corners[2][lane] = lower[0];
        corners[3][lane] = lower[right];
    }
    let [a, b, c, d] = corners;
    let (mut value, mut across, mut down) = ([0f32; LANES], [0f32; LANES], [0f32; LANES]);
    for lane in 0..LANES {
        let (upper, lower) = (b[lane] - a[lane], d[lane] - c[lane]);
        let top = a[lane] + fx[lane] * upper;
        let difference = c[lane] + fx[lane] * lower - top;
        value[lane] = top + fy[lane] * difference;
        across[lane] = (upper + fy[lane] * (lower - upper)) * w;
        down[lane] = difference * h;
    }
    (value, across, down)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_slopes_are_those_of_the_plane() {
        for (width, height) in [(7, 5), (1, 4), (4, 1), (1, 1)] {
            let value = |x: usize, y: usize| 3.0 * x as f32 - 2.0 * y as f32;
            let data = (0..width * height).map(|i| value(i % width, i / width)).collect();
            let plane = Plane { width, height, data };
            let points = Points::over([0.0, 0.0, 1.0, 1.0], 4);
            let mut slopes = Gradients::default();
            points.slopes(&plane, &mut slopes);
            assert_eq!(slopes.0[0], points.values(&plane));
            for i in 0..16 {
                let (u, v) = (points.x[i] * width as f32 - 0.5, points.y[i] * height as f32 - 0.5);
                assert!((slopes.0[0][i] - plane.at(u, v)).abs() < 1e-5);
                let across = if width > 1 { 3.0 * width as f32 } else { 0.0 };
                let down = if height > 1 { -2.0 * height as f32 } else { 0.0 };
                assert!((slopes.0[1][i] - across).abs() + (slopes.0[2][i] - down).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn sums_are_of_every_product() {
        let rows: [Vec<f32>; 2] =
            [(0..37).map(|i| i as f32).collect(), (0..37).map(|i| (i % 5) as f32).collect()];
        let wanted: f32 = rows[0].iter().zip(&rows[1]).map(|(a, b)| a * b).sum();
        assert_eq!(dot(&rows[0], &rows[1]), wanted);
        let found = gram(&rows);
        assert_eq!((found[0][1], found[1][0]), (wanted, wanted));
        assert_eq!(found[1][1], dot(&rows[1], &rows[1]));
    }
}
