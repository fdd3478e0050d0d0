//! Resizing with Pillow's and OpenCV's pixels.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::area::area;
use crate::resample::{Pixels, resample};
use crate::{Resampling, Rgb};

/// The kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Pillow's BILINEAR (antialiased).
    Bilinear,
    /// Pillow's BICUBIC (a = -0.5, antialiased).
    Bicubic,
    /// Pillow's LANCZOS (3 lobes, antialiased).
    Lanczos,
    /// Pillow's BOX.
    Box,
    /// OpenCV's INTER_AREA: the average over the pixel's area, edges counted by their share.
    Area,
}

/// Resizes to exactly `width` x `height` (at least 1 x 1).
///
/// Two passes, horizontal then vertical, each rounded to 8 bits: that is Pillow's order, and what
/// makes the pixels equal to within 2 levels on 0.4% of them.
pub fn resize(image: &Rgb, width: u32, height: u32, filter: Filter) -> Rgb {
    let (width, height) = (width.max(1), height.max(1));
    if (width, height) == (image.width, image.height) {
        return image.clone();
    }
    let kernel = match filter {
        Filter::Bicubic => FilterType::CatmullRom,
        Filter::Lanczos => FilterType::Lanczos3,
        Filter::Box => FilterType::Box,
        Filter::Area if width <= image.width && height <= image.height => {
            return area(image, width, height);
        }
        // As OpenCV: enlarging by area is linear interpolation.
        Filter::Area | Filter::Bilinear => FilterType::Bilinear,
    };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(kernel));
    let wide = pass(image, width, image.height, &options);
    pass(&wide, width, height, &options)
}

/// Resizes to exactly `width` x `height` (at least 1 x 1), bit for bit as Pillow.
pub fn pillow_resize(image: &Rgb, width: u32, height: u32, resampling: Resampling) -> Rgb {
    resized_crop(image, (0, 0, image.width, image.height), (width, height), resampling)
}

/// torchvision's `resized_crop` of a Pillow image, bit for bit: the part of `(x, y, width,
/// height)`, which is within the image and not empty, resized to a width and a height of at least
/// 1.
pub fn resized_crop(
    image: &Rgb,
    (x, y, w, h): (u32, u32, u32, u32),
    (width, height): (u32, u32),
    resampling: Resampling,
) -> Rgb {
    let pair = |a: u32, b: u32| (a as usize, b as usize);
    let (width, height) = (width.max(1), height.max(1));
    let pixels = Pixels::packed(&image.data, 3, pair(image.width, image.height));
    let part = pixels.window(pair(x, y), pair(w, h));
    let data = resample(part, pair(width, height), resampling.kernel());
    Rgb { width, height, data }
}

fn pass(image: &Rgb, width: u32, height: u32, options: &ResizeOptions) -> Rgb {
    if (width, height) == (image.width, image.height) {
        return image.clone();
    }
    let mut data = vec![0; width as usize * height as usize * 3];
    // The typed views: those of any pixel type would compile resizing for every type there is.
    let resized = TypedImageRef::<U8x3>::from_buffer(image.width, image.height, &image.data)
        .and_then(|source| Ok((source, TypedImage::from_buffer(width, height, &mut data)?)))
        .map_err(|e| e.to_string())
        .and_then(|(source, mut output)| {
            Resizer::new().resize_typed(&source, &mut output, options).map_err(|e| e.to_string())
        });
    // Sizes agree by construction; a white image is the visible sign of a broken invariant.
    if resized.is_err() {
        debug_assert!(false, "{resized:?}");
        return Rgb::filled(width, height, [255; 3]);
    }
    Rgb { width, height, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_colour_stays_one_colour() {
        let image = Rgb::filled(37, 53, [10, 200, 77]);
        let filters =
            [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos, Filter::Box, Filter::Area];
        for filter in filters {
            for (w, h) in [(1, 1), (20, 90), (64, 64)] {
                assert_eq!(
                    resize(&image, w, h, filter),
                    Rgb::filled(w, h, [10, 200, 77]),
                    "{filter:?}"
                );
            }
        }
    }
}
