//! Where one picture lies in another.

/// Where the second picture's unit square lies in the first's: `x' = a x + b y + c`, `y' = d x + e y + f`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// The six numbers a to f.
    pub affine: [f32; 6],
}

impl Placement {
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

    /// Area of the second picture, the first's being 1.
    pub fn area(&self) -> f32 {
        let [a, b, _, d, e, _] = self.affine;
        (a * e - b * d).abs()
    }

    /// What the placement takes from the trust in a likeness: the more it bends to make two pictures agree, the less
    /// their agreement says, and the fewer pixels there are, the less it takes to agree.
    ///
    /// `sides` are both pictures' width and height; `least` is the smaller one's longer side in pixels.
    pub(crate) fn strain(&self, sides: [(u32, u32); 2], covered: f32, least: f32) -> f32 {
        let bent = (self.bent(sides) - 0.05).max(0.0);
        let sized = (self.area().ln().abs() - 0.1).max(0.0);
        let few = (36.0 / least).powi(2).min(1.0);
        0.5 * bent + few * (0.25 * sized + 0.5 * (0.97 - covered).max(0.0))
    }

    /// How much the second picture's aspect is changed, as a logarithm.
    ///
    /// A stretched copy fits edge to edge, a crop keeps its pixels square: whichever is nearer.
    fn bent(&self, sides: [(u32, u32); 2]) -> f32 {
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

    /// The rectangle of the second picture that the first covers: left, top, right, bottom in [0, 1].
    pub(crate) fn common(&self) -> Option<[f32; 4]> {
        let [a, _, _, _, e, _] = self.affine;
        if a < 0.15 || e < 0.15 {
            return None;
        }
        // Shear and rotation are small: the axes' own scales say where the edges are, at the middle.
        let (mx, my) = self.map(0.5, 0.5);
        let (left, right) = (0.5 - mx / a, 0.5 + (1.0 - mx) / a);
        let (top, bottom) = (0.5 - my / e, 0.5 + (1.0 - my) / e);
        let found = [left.max(0.0), top.max(0.0), right.min(1.0), bottom.min(1.0)];
        (found[2] - found[0] > 0.12 && found[3] - found[1] > 0.12).then_some(found)
    }
}
