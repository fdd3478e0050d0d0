//! Where one image is in another.

use crate::pyramid::Points;

/// Where the second image's unit square is in the first's: `x' = a x + b y + c`, `y' = d x + e y
/// + f`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transform {
    /// The six numbers a to f.
    pub affine: [f32; 6],
}

impl Transform {
    /// Edge on edge.
    pub const WHOLE: Self = Self { affine: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0] };

    /// Scaled and shifted.
    pub fn scaled(sx: f32, sy: f32, tx: f32, ty: f32) -> Self {
        Self { affine: [sx, 0.0, tx, 0.0, sy, ty] }
    }

    pub(crate) fn map(&self, x: f32, y: f32) -> (f32, f32) {
        let [a, b, c, d, e, f] = self.affine;
        (a * x + b * y + c, d * x + e * y + f)
    }

    /// Where points of the second image are in the first.
    pub(crate) fn mapped(&self, points: &Points) -> Points {
        let mapped = || points.x.iter().zip(&points.y).map(|(&x, &y)| self.map(x, y));
        Points { x: mapped().map(|(x, _)| x).collect(), y: mapped().map(|(_, y)| y).collect() }
    }

    /// The transform near this one that brings points of the second image to points of the first:
    /// pairs of (x, y, x', y'), of which those count that this one, and then the better one,
    /// brings near enough.
    pub(crate) fn fitted(self, pairs: &[[f32; 4]]) -> Self {
        [0.12, 0.06, 0.03].into_iter().fold(self, |old, reach| {
            // Few points, or points in one spot, leave the transform nearly as it is.
            let mut normal = [[0f32; 3]; 3];
            let mut wanted = [[0f32; 3]; 2];
            (0..3).for_each(|i| normal[i][i] = 0.1);
            for &[x, y, u, v] in pairs {
                let (ox, oy) = old.map(x, y);
                if (u - ox).abs().max((v - oy).abs()) < reach {
                    let row = [x - 0.5, y - 0.5, 1.0];
                    for i in 0..3 {
                        (0..3).for_each(|j| normal[i][j] += row[i] * row[j]);
                        wanted[0][i] += row[i] * (u - ox);
                        wanted[1][i] += row[i] * (v - oy);
                    }
                }
            }
            let [[a, b, c], [d, e, f]] = wanted.map(|wanted| solved(normal, wanted));
            let change = [a, b, c - 0.5 * (a + b), d, e, f - 0.5 * (d + e)];
            Self { affine: std::array::from_fn(|i| old.affine[i] + change[i]) }
        })
    }

    /// Area of the second image, the first's being 1.
    pub fn area(&self) -> f32 {
        let [a, b, _, d, e, _] = self.affine;
        (a * e - b * d).abs()
    }

    /// How much the second image's aspect is changed, as a logarithm.
    ///
    /// A stretched copy fits edge to edge, a crop keeps its pixels square: whichever is nearer.
    pub(crate) fn bent(&self, sides: [(u32, u32); 2]) -> f32 {
        let [a, _, _, _, e, _] = self.affine;
        let aspect = |(width, height): (u32, u32)| width as f32 / height as f32;
        let edges = (a / e).ln().abs();
        let pixels = (a / e * aspect(sides[0]) / aspect(sides[1])).ln().abs();
        edges.min(pixels)
    }

    /// Whether it could come about by cropping, resizing and a small rotation.
    pub(crate) fn plausible(&self, sides: [(u32, u32); 2]) -> bool {
        let [a, b, _, d, e, _] = self.affine;
        let size = 0.2..5.0;
        let turned = (b / a).abs().max((d / e).abs());
        let sized = size.contains(&a) && size.contains(&e);
        sized && turned < 0.3 && self.bent(sides) < 0.7
    }

    /// The rectangle of the second image that the first covers: left, top, right, bottom in [0, 1].
    pub(crate) fn common(&self) -> Option<[f32; 4]> {
        let [a, _, _, _, e, _] = self.affine;
        if a < 0.15 || e < 0.15 {
            return None;
        }
        // Shear and rotation are small: the axes' own scales say where the edges are, at the
        // middle.
        let (mx, my) = self.map(0.5, 0.5);
        let (left, right) = (0.5 - mx / a, 0.5 + (1.0 - mx) / a);
        let (top, bottom) = (0.5 - my / e, 0.5 + (1.0 - my) / e);
        let found = [left.max(0.0), top.max(0.0), right.min(1.0), bottom.min(1.0)];
        (found[2] - found[0] > 0.12 && found[3] - found[1] > 0.12).then_some(found)
    }
}

/// Cramer's rule on a positive definite matrix.
fn solved(m: [[f32; 3]; 3], wanted: [f32; 3]) -> [f32; 3] {
    let det = |m: [[f32; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = det(m);
    std::array::from_fn(|column| {
        let mut other = m;
        (0..3).for_each(|row| other[row][column] = wanted[row]);
        det(other) / whole
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_that_agree_say_where_a_turned_image_is() {
        let turned = Transform { affine: [1.0, -0.08, 0.05, 0.09, 1.02, -0.06] };
        let place = |i: u32| ((i * 37 % 100) as f32 / 100.0, (i * 61 % 100) as f32 / 100.0);
        let mut pairs: Vec<[f32; 4]> = (0..40)
            .map(|i| {
                let (x, y) = place(i);
                let (u, v) = turned.map(x, y);
                [x, y, u, v]
            })
            .collect();
        pairs.extend((0..10).map(|i| [place(i).0, place(i).1, place(i + 7).0, place(i + 3).1]));
        let found = Transform::scaled(1.05, 1.05, 0.0, 0.0).fitted(&pairs);
        for (value, wanted) in found.affine.into_iter().zip(turned.affine) {
            assert!((value - wanted).abs() < 0.02, "{found:?}");
        }
        let start = Transform::scaled(0.8, 0.8, 0.1, 0.1);
        assert_eq!(start.fitted(&[]), start);
    }

    #[test]
    fn a_stretch_is_implausible_and_a_narrow_crop_is_not() {
        let narrow = Transform::scaled(0.3, 0.9, 0.3, 0.05);
        assert!(narrow.plausible([(60, 40), (20, 40)]));
        assert!(!narrow.plausible([(60, 40), (60, 40)]));
        assert!(Transform::WHOLE.plausible([(60, 40), (40, 60)]));
    }
}
