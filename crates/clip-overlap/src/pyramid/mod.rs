//! An image at several sizes: what is compared, and where it shows something.

mod padding;
mod plane;
mod simd;

use std::cell::OnceCell;

use clip_image::Rgb;

use padding::padding;
pub use plane::shrink;
pub(crate) use plane::{Plane, thumbnail};
pub(crate) use simd::{Gradients, LANES, Points, dot, gram};

/// Points a side of the grid on which two images are compared.
pub(crate) const GRID: usize = 32;

/// A thumbnail ready to be compared: at several sizes, so that no sampling skips pixels.
pub(crate) struct ImagePyramid<'a> {
    thumb: &'a Rgb,
    levels: Vec<Level>,
    /// Width and height in pixels of what it was made of.
    sides: (u32, u32),
    shown: f32,
    part: bool,
    channels: OnceCell<[Plane; 3]>,
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
    pub fn validity_mask(&self, points: &Points) -> Option<Vec<f32>> {
        let padded = points.values(self.padding.as_ref()?);
        Some(padded.into_iter().map(|share| f32::from(share < 0.1)).collect())
    }

    fn halved(&self) -> Self {
        let half = |plane: &Plane| plane.resized(plane.width / 2, plane.height / 2);
        Self { luma: half(&self.luma), padding: self.padding.as_ref().map(half) }
    }
}

/// Leaves out of a mask the points where another mask, where there is one, is 0.
pub(crate) fn apply_mask(seen: &mut [f32], mask: Option<&[f32]>) {
    seen.iter_mut().zip(mask.into_iter().flatten()).for_each(|(seen, valid)| *seen *= valid);
}

impl<'a> ImagePyramid<'a> {
    pub fn new(thumb: &'a Rgb) -> Self {
        Self::with_padding(thumb, padding(thumb))
    }

    /// Of what an image shows in one place, scaled from `sides` pixels, with the share of each
    /// pixel that it does not show. `area` is the whole image's, the place's being 1.
    pub fn of_part(thumb: &'a Rgb, hidden: Plane, sides: (u32, u32), area: f32) -> Self {
        let most = (thumb.width, thumb.height);
        let sides = (sides.0.min(most.0), sides.1.min(most.1));
        let shown = 1.0 - hidden.data.iter().sum::<f32>() / hidden.data.len() as f32;
        // Of a part of the place, the whole image counts.
        let shown = (shown / area.min(1.0)).min(1.0);
        Self { sides, shown, part: true, ..Self::with_padding(thumb, Some(hidden)) }
    }

    fn with_padding(thumb: &'a Rgb, padding: Option<Plane>) -> Self {
        let mut levels = vec![Level { luma: Plane::luma(thumb), padding }];
        while let Some(last) = levels.last()
            && last.luma.width.min(last.luma.height) >= 24
        {
            levels.push(last.halved());
        }
        let sides = (thumb.width, thumb.height);
        Self {
            thumb,
            levels,
            sides,
            shown: 1.0,
            part: false,
            channels: OnceCell::new(),
            colours: OnceCell::new(),
        }
    }

    /// The three channels in full: few pairs get so far that these are looked at.
    pub fn channels(&self) -> &[Plane; 3] {
        self.channels.get_or_init(|| [0, 1, 2].map(|c| Plane::channel(self.thumb, c)))
    }

    /// The three channels at half the grid's size.
    pub fn colours(&self) -> &[Plane; 3] {
        let half = |length: usize| length.min(GRID / 2);
        let resized = |plane: &Plane| plane.resized(half(plane.width), half(plane.height));
        self.colours.get_or_init(|| self.channels().each_ref().map(resized))
    }

    /// Width and height in pixels.
    pub fn sides(&self) -> (u32, u32) {
        self.sides
    }

    /// Share of the place, or of the image around it if that is smaller, which both show.
    pub fn shown(&self) -> f32 {
        self.shown
    }

    /// Whether it is what an image shows in one place.
    pub fn is_part(&self) -> bool {
        self.part
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
