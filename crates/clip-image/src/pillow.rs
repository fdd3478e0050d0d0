//! Pictures as Pillow holds them and resizes them.

use crate::resample::{Kernel, resample_part};

/// Pixels of 8 bits and `channels` channels, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raster {
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    pub data: Vec<u8>,
}

/// A part of an image resized to `width` x `height`: `crop` is (left, top, width, height) of the result.
pub(crate) fn resize_bicubic(
    image: &Raster,
    width: usize,
    height: usize,
    crop: (usize, usize, usize, usize),
) -> Raster {
    let (size, channels) = ((image.width, image.height), image.channels);
    let data = resample_part(&image.data, channels, size, (width, height), crop, Kernel::Bicubic);
    Raster { width: crop.2, height: crop.3, channels, data }
}

/// The same for images of a palette or of two colours, whose pixels Pillow never mixes.
pub(crate) fn resize_nearest(
    image: &Raster,
    width: usize,
    height: usize,
    crop: (usize, usize, usize, usize),
) -> Raster {
    let (left, top, crop_width, crop_height) = crop;
    let at = |target: usize, source: usize, to: usize| {
        (((target as f64 + 0.5) * source as f64 / to as f64) as usize).min(source - 1)
    };
    let mut data = Vec::with_capacity(crop_width * crop_height * image.channels);
    for y in top..top + crop_height {
        let row = at(y, image.height, height) * image.width;
        for x in left..left + crop_width {
            let pixel = (row + at(x, image.width, width)) * image.channels;
            data.extend_from_slice(&image.data[pixel..pixel + image.channels]);
        }
    }
    Raster { width: crop_width, height: crop_height, channels: image.channels, data }
}

/// Multiplies colours by the last channel, in Pillow's arithmetic.
pub(crate) fn premultiply(image: &mut Raster) {
    for pixel in image.data.chunks_exact_mut(image.channels) {
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
    for pixel in image.data.chunks_exact_mut(image.channels) {
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
        let mut image =
            Raster { width: 2, height: 1, channels: 4, data: vec![200, 100, 50, 128, 9, 9, 9, 0] };
        premultiply(&mut image);
        assert_eq!(image.data, [100, 50, 25, 128, 0, 0, 0, 0]);
        unpremultiply(&mut image);
        assert_eq!(image.data, [199, 99, 49, 128, 0, 0, 0, 0]);
    }
}
