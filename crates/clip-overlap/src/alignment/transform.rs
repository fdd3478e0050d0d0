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

    /// Where points of the first image are in the second; nothing where it has no area.
    pub(crate) fn inverse(&self) -> Option<Self> {
        let [a, b, c, d, e, f] = self.affine;
        let det = a * e - b * d;
        if det.abs() < 1e-6 {
            return None;
        }
        let [a, b, d, e] = [e / det, -b / det, -d / det, a / det];
        Some(Self { affine: [a, b, -(a * c + b * f), d, e, -(d * c + e * f)] })
    }

    /// Another transform, and then this one.
    pub(crate) fn after(&self, other: &Self) -> Self {
        let [a, b, c, d, e, f] = other.affine;
        let ((x, y), (dx, dy)) = (self.map(c, f), self.map(0.0, 0.0));
        let along = |(u, v): (f32, f32)| (u - dx, v - dy);
        let (across, down) = (along(self.map(a, d)), along(self.map(b, e)));
        Self { affine: [across.0, down.0, x, across.1, down.1, y] }
    }

    /// Whether it is mirrored.
    pub(crate) fn mirrors(&self) -> bool {
        let [a, b, _, d, e, _] = self.affine;
        a * e < b * d
    }

    /// By how much it is turned after it was mirrored left to right, if it is mirrored; in radians.
    /// The aspects of both images are height over width.
    pub(crate) fn angle(&self, aspect: f32, their_aspect: f32) -> f32 {
        let [a, b, _, d, e, _] = self.affine;
        let ([a, d], [b, e]) = ([a, d * their_aspect], [b, e * their_aspect].map(|v| v / aspect));
        let [a, d] = if self.mirrors() { [-a, -d] } else { [a, d] };
        f32::atan2(d - b, a + e)
    }

    /// The rectangle of the second image around the first: left, top, right, bottom in [0, 1].
    pub(crate) fn bounds(&self) -> Option<[f32; 4]> {
        let back = self.inverse()?;
        let corners = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)].map(|(x, y)| back.map(x, y));
        let across = corners.map(|(x, _)| x.clamp(0.0, 1.0));
        let down = corners.map(|(_, y)| y.clamp(0.0, 1.0));
        let least = |values: [f32; 4]| values.into_iter().fold(1.0, f32::min);
        let most = |values: [f32; 4]| values.into_iter().fold(0.0, f32::max);
        Some([least(across), least(down), most(across), most(down)])
    }

    /// Width and height in pixels that the first image has in the second, of `sides` pixels.
    pub(crate) fn pixels(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let [a, b, _, d, e, _] = self.inverse().map_or([0.0; 6], |back| back.affine);
        let length = |x: f32, y: f32| (x * width as f32).hypot(y * height as f32).max(1.0) as u32;
        (length(a, d), length(b, e))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_there_and_back_is_where_it_was() {
        let turned = Transform { affine: [-0.3, 0.4, 0.5, 0.35, 0.2, 0.1] };
        let same = turned.inverse().unwrap().after(&turned);
        for (value, wanted) in same.affine.into_iter().zip(Transform::WHOLE.affine) {
            assert!((value - wanted).abs() < 1e-5, "{same:?}");
        }
        assert!(Transform { affine: [0.0; 6] }.inverse().is_none() && turned.mirrors());
        // A quarter of the image, in its lower left.
        let part = Transform::scaled(2.0, 2.0, 0.0, -1.0);
        assert_eq!(part.bounds(), Some([0.0, 0.5, 0.5, 1.0]));
        assert_eq!(part.pixels((200, 100)), (100, 50));
        let quarter = Transform { affine: [0.0, -1.0, 1.0, 1.0, 0.0, 0.0] };
        assert!((quarter.angle(1.5, 1.0 / 1.5) - std::f32::consts::FRAC_PI_2).abs() < 1e-5);
    }

    #[test]
    fn a_stretch_is_implausible_and_a_narrow_crop_is_not() {
        let narrow = Transform::scaled(0.3, 0.9, 0.3, 0.05);
        assert!(narrow.plausible([(60, 40), (20, 40)]));
        assert!(!narrow.plausible([(60, 40), (60, 40)]));
        assert!(Transform::WHOLE.plausible([(60, 40), (40, 60)]));
    }
}
