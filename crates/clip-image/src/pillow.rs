//! Images as Pillow holds them and resizes them.

use std::borrow::Cow;

use crate::kernel::Kernel;
use crate::resample::{Pixels, resample_part};

/// Pixels of 8 bits and `channels` channels, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raster<'a> {
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    pub data: Cow<'a, [u8]>,
}

impl Raster<'_> {
    /// A part of the image resized to `size` (width, height): `part` is (left, top, width, height)
    /// of the result. Without a kernel each pixel is the nearest one, as Pillow resizes images
    /// of a palette or of two colours.
    pub fn resized(
        &self,
        size: (usize, usize),
        part: (usize, usize, usize, usize),
        kernel: Option<Kernel>,
    ) -> Raster<'static> {
        let data = match kernel {
            Some(kernel) => {
                let own = (self.width, self.height);
                let pixels = Pixels::packed(&self.data, self.channels, own);
                resample_part(pixels, size, part, kernel)
            }
            None => self.nearest(size, part),
        };
        Raster { width: part.2, height: part.3, channels: self.channels, data: data.into() }
    }

    fn nearest(&self, size: (usize, usize), part: (usize, usize, usize, usize)) -> Vec<u8> {
        let (left, top, width, height) = part;
        let columns = nearest_places(self.width, size.0);
        let rows = nearest_places(self.height, size.1);
        let mut data = Vec::with_capacity(width * height * self.channels);
        for row in &rows[top..top + height] {
            for column in &columns[left..left + width] {
                let pixel = (row * self.width + column) * self.channels;
                data.extend_from_slice(&self.data[pixel..pixel + self.channels]);
            }
        }
        data
    }
}

/// For each of `to` pixels the one of `from` that is nearest to it. Pillow adds the step up, so
/// that what halves exactly is decided by the sum's rounding (`Geometry.c`, `ImagingScaleAffine`).
fn nearest_places(from: usize, to: usize) -> Vec<usize> {
    let step = from as f64 / to as f64;
    let mut place = step * 0.5;
    let next = |_| {
        let at = (place as usize).min(from - 1);
        place += step;
        at
    };
    (0..to).map(next).collect()
}

/// Multiplies colours by the last channel, in Pillow's arithmetic.
pub(crate) fn premultiply(image: &mut Raster) {
    for pixel in image.data.to_mut().chunks_exact_mut(image.channels) {
        if let Some((alpha, colours)) = pixel.split_last_mut() {
            for colour in colours {
                let product = u32::from(*colour) * u32::from(*alpha) + 128;
                *colour = (((product >> 8) + product) >> 8) as u8;
            }
        }
    }
}

/// Undoes [`premultiply`].
pub(crate) fn unpremultiply(image: &mut Raster) {
    for pixel in image.data.to_mut().chunks_exact_mut(image.channels) {
        if let Some((&mut alpha, colours)) = pixel.split_last_mut()
            && alpha != 0
            && alpha != 255
        {
            for colour in colours {
                *colour = (255 * u32::from(*colour) / u32::from(alpha)).min(255) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_goes_in_and_out() {
        let data = vec![200, 100, 50, 128, 9, 9, 9, 0].into();
        let mut image = Raster { width: 2, height: 1, channels: 4, data };
        premultiply(&mut image);
        assert_eq!(*image.data, [100, 50, 25, 128, 0, 0, 0, 0]);
        unpremultiply(&mut image);
        assert_eq!(*image.data, [199, 99, 49, 128, 0, 0, 0, 0]);
    }
}
