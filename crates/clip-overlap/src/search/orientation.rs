//! The sixteen ways in which a whole image is turned over: eight orientations, each as it is and
//! with its colours inverted.

use clip_image::Rgb;

use crate::alignment::{SIDE, Transform};

/// One of them. First rows and columns change places, then left and right, above and below, light
/// and dark, each where its bit is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Orientation(u8);

impl Orientation {
    /// How many there are.
    pub const COUNT: usize = 16;
    /// How many leave rows and columns what they are; the first ones.
    pub const UPRIGHT: usize = 8;
    pub const PLAIN: Self = Self(0);
    pub const MIRRORED: Self = Self(1);

    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT as u8).map(Self)
    }

    /// Whether left and right change places.
    pub fn mirrored(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether above and below do.
    pub fn flipped(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether light and dark do.
    pub fn inverted(self) -> bool {
        self.0 & 4 != 0
    }

    /// Whether rows and columns do.
    pub fn transposed(self) -> bool {
        self.0 & 8 != 0
    }

    /// Where the pixel (x, y) of the turned image comes from, which has these sides.
    fn source(self, x: usize, y: usize, (width, height): (usize, usize)) -> (usize, usize) {
        let x = if self.mirrored() { width - 1 - x } else { x };
        let y = if self.flipped() { height - 1 - y } else { y };
        if self.transposed() { (y, x) } else { (x, y) }
    }

    /// An image turned so.
    pub fn image(self, image: &Rgb) -> Rgb {
        let own = (image.width as usize, image.height as usize);
        let sides = if self.transposed() { (own.1, own.0) } else { own };
        let flip = if self.inverted() { 255 } else { 0 };
        let mut data = Vec::with_capacity(image.data.len());
        for (x, y) in (0..sides.1).flat_map(|y| (0..sides.0).map(move |x| (x, y))) {
            let (u, v) = self.source(x, y, sides);
            data.extend(image.data[3 * (v * own.0 + u)..][..3].iter().map(|value| value ^ flip));
        }
        Rgb { width: sides.0 as u32, height: sides.1 as u32, data }
    }

    /// The plane of the first comparison turned so; its values are around 128.
    pub fn coarse(self, plane: &[u8; SIDE * SIDE]) -> [u8; SIDE * SIDE] {
        std::array::from_fn(|at| {
            let (x, y) = self.source(at % SIDE, at / SIDE, (SIDE, SIDE));
            let value = plane[y * SIDE + x];
            if self.inverted() { value.wrapping_neg() } else { value }
        })
    }

    /// Where a point of the image is in the turned one, and from there by a transform.
    pub fn then(self, transform: &Transform) -> Transform {
        let [a, b, c, d, e, f] = transform.affine;
        let turned = |x: f32, y: f32, shift: f32| {
            let (x, shift) = if self.mirrored() { (-x, shift + x) } else { (x, shift) };
            let (y, shift) = if self.flipped() { (-y, shift + y) } else { (y, shift) };
            if self.transposed() { [y, x, shift] } else { [x, y, shift] }
        };
        let ([a, b, c], [d, e, f]) = (turned(a, b, c), turned(d, e, f));
        Transform { affine: [a, b, c, d, e, f] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_planes_and_transforms_are_turned_alike() {
        let plane: [u8; SIDE * SIDE] = std::array::from_fn(|at| 1 + (at * 97 % 255) as u8);
        let image = Rgb {
            width: SIDE as u32,
            height: SIDE as u32,
            data: plane.iter().flat_map(|&v| [v; 3]).collect(),
        };
        for turn in Orientation::all() {
            let turned = turn.image(&image);
            let coarse = turn.coarse(&plane);
            let place = turn.then(&Transform::WHOLE);
            for (at, &value) in plane.iter().enumerate() {
                let unit = |k: usize| (k as f32 + 0.5) / SIDE as f32;
                let (x, y) = place.map(unit(at % SIDE), unit(at / SIDE));
                let (x, y) = ((x * SIDE as f32) as usize, (y * SIDE as f32) as usize);
                let inverted = |value: u8| if turn.inverted() { 255 - value } else { value };
                assert_eq!(turned.data[3 * (y * SIDE + x)], inverted(value), "{turn:?}");
                let around = i32::from(coarse[y * SIDE + x]) - 128;
                let wanted = i32::from(value) - 128;
                assert_eq!(around, if turn.inverted() { -wanted } else { wanted });
            }
        }
        let wide = Rgb { width: 3, height: 2, data: (0..18).collect() };
        let turned = Orientation(8).image(&wide);
        assert_eq!((turned.width, turned.height, &turned.data[3..6]), (2, 3, &[9, 10, 11][..]));
    }
}
