//! open_clip's evaluation transform (`open_clip/transform.py`) up to the pixels, before they are
//! normalised.

use clip_format::ImageFormat;
use image::{ColorType, DynamicImage};

use crate::guard::guarded;
use crate::kernel::Kernel;
use crate::palette::{colour, is_grey_ramp, palette};
use crate::pillow::{Raster, premultiply, unpremultiply};
use crate::{DecodeOptions, Error, ImageHeader, Result, Rgb, codecs};

/// How an image of any shape becomes a square: open_clip's `resize_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResizeMode {
    /// The shorter side becomes the square's, and the centre is cut out.
    #[default]
    Shortest,
    /// The longer side becomes the square's, and the rest is filled with one colour.
    Longest,
    /// Both sides become the square's.
    Squash,
}

/// Pillow's kernels that open_clip resizes with, both antialiased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resampling {
    /// a = -0.5.
    #[default]
    Bicubic,
    /// A triangle.
    Bilinear,
}

impl Resampling {
    pub(crate) fn kernel(self) -> Kernel {
        match self {
            Self::Bicubic => Kernel::Bicubic,
            Self::Bilinear => Kernel::Bilinear,
        }
    }
}

/// What decides the pixels that a model sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preprocess {
    /// Side of the square, in pixels, at least 1.
    pub size: u32,
    /// How the image is brought to it.
    pub resize_mode: ResizeMode,
    /// The kernel.
    pub resampling: Resampling,
    /// Level of all three channels around the image ([`ResizeMode::Longest`]); for an image with a
    /// palette the index of a colour, as for Pillow.
    pub fill_color: u8,
}

/// torchvision's `Resize(size, BICUBIC)` and `CenterCrop(size)` on a Pillow image, bit for bit
/// (OpenAI CLIP, `clip.py`).
pub fn clip_preprocess(image: &Rgb, size: u32) -> Rgb {
    Preprocess::clip(size).apply(image)
}

/// An encoded image to CLIP's pixels: [`Preprocess::clip`] and [`Preprocess::pixels`].
///
/// # Errors
/// As [`Preprocess::pixels`].
pub fn clip_pixels(bytes: &[u8], size: u32) -> Result<Rgb> {
    Preprocess::clip(size).pixels(bytes)
}

impl Preprocess {
    /// OpenAI's: bicubic, the shorter side, the centre.
    pub fn clip(size: u32) -> Self {
        let (resize_mode, resampling) = (ResizeMode::default(), Resampling::default());
        Self { size, resize_mode, resampling, fill_color: 0 }
    }

    /// A decoded image to `size` x `size` pixels, bit for bit Pillow's.
    pub fn apply(&self, image: &Rgb) -> Rgb {
        let (width, height) = (image.width as usize, image.height as usize);
        let raster = Raster { width, height, channels: 3, data: (&image.data).into() };
        self.square(raster, Some(self.resampling.kernel()), [self.fill_color; 3])
    }

    /// An encoded image to `size` x `size` pixels, as open_clip makes them with Pillow: without
    /// EXIF's orientation and ICC profiles, with transparency resized premultiplied and then
    /// dropped, with palettes resized by nearest pixel. Of 16 bits the upper 8 are used.
    ///
    /// # Errors
    /// When the bytes are no image, a damaged one, or one of more than 64 million pixels.
    pub fn pixels(&self, bytes: &[u8]) -> Result<Rgb> {
        let options = DecodeOptions::stored();
        let mut header = ImageHeader::read(bytes)?;
        if header.format == ImageFormat::Jpeg {
            return Ok(self.apply(&header.decode(&options)?));
        }
        if u64::from(header.width) * u64::from(header.height) > options.max_pixels {
            let (width, height, limit) = (header.width, header.height, options.max_pixels);
            return Err(Error::TooLarge { width, height, limit });
        }
        let decode =
            || codecs::decode(header.bytes(), header.format, header.width, options.max_pixels);
        let (image, _) = guarded(decode)?;
        if image.width() == 0 || image.height() == 0 {
            return Err(Error::Decode("the image has no pixels".into()));
        }
        let (kernel, fill) = (Some(self.resampling.kernel()), [self.fill_color; 3]);
        Ok(match mode(bytes, header.format, &image) {
            Mode::Palette => {
                let fill = colour(palette(bytes, header.format), self.fill_color);
                self.square(opaque(image), None, fill)
            }
            Mode::TwoColours => {
                let fill = if self.fill_color == 0 { 0 } else { 255 };
                self.square(opaque(image), None, [fill; 3])
            }
            Mode::Opaque => self.square(opaque(image), kernel, fill),
            Mode::Transparent => self.square(transparent(image), kernel, fill),
        })
    }

    fn square(&self, mut image: Raster, kernel: Option<Kernel>, fill: [u8; 3]) -> Rgb {
        let (size, part) = self.place(image.width, image.height);
        // Pillow gives an image of the size that is asked for back as it is.
        let mixes_alpha = image.channels == 4 && size != (image.width, image.height);
        if mixes_alpha {
            premultiply(&mut image);
        }
        let mut resized = image.resized(size, part, kernel);
        if mixes_alpha {
            unpremultiply(&mut resized);
        }
        self.padded(resized, fill)
    }

    /// Width and height that an image is resized to, and which part of that is used: left, top,
    /// width, height.
    fn place(&self, width: usize, height: usize) -> ((usize, usize), (usize, usize, usize, usize)) {
        let side = self.size as usize;
        match self.resize_mode {
            ResizeMode::Squash => ((side, side), (0, 0, side, side)),
            ResizeMode::Shortest => {
                let longer = |a: usize, b: usize| side * a / b;
                let size = if width <= height {
                    (side, longer(height, width))
                } else {
                    (longer(width, height), side)
                };
                // Python rounds halves to even.
                let offset = |of: usize| ((of - side) as f64 / 2.0).round_ties_even() as usize;
                (size, (offset(size.0), offset(size.1), side, side))
            }
            ResizeMode::Longest => {
                let ratio = width.max(height) as f64 / side as f64;
                // A side that would vanish, which open_clip fails on, keeps a pixel.
                let to = |of: usize| ((of as f64 / ratio).round_ties_even() as usize).max(1);
                let (width, height) = (to(width), to(height));
                ((width, height), (0, 0, width, height))
            }
        }
    }

    /// The image in the middle of its square, the odd pixel at the right and below.
    fn padded(&self, image: Raster, fill: [u8; 3]) -> Rgb {
        let side = self.size as usize;
        let data = if image.channels == 3 {
            image.data.into_owned()
        } else {
            image.data.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect()
        };
        if (image.width, image.height) == (side, side) {
            return Rgb { width: self.size, height: self.size, data };
        }
        let mut square = Rgb::filled(self.size, self.size, fill);
        let (left, top) = ((side - image.width) / 2, (side - image.height) / 2);
        for (y, row) in data.chunks_exact(image.width * 3).enumerate() {
            square.data[((top + y) * side + left) * 3..][..row.len()].copy_from_slice(row);
        }
        square
    }
}

/// What Pillow would hold the image as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Palette,
    TwoColours,
    Opaque,
    Transparent,
}

fn mode(bytes: &[u8], format: ImageFormat, image: &DynamicImage) -> Mode {
    // Depth and colour type are in a PNG's first chunk. Colours that are transparent by a chunk
    // of their own leave an image opaque for Pillow.
    match (format, bytes.get(24..26)) {
        (ImageFormat::Gif, _) if is_grey_ramp(palette(bytes, format)) => Mode::Opaque,
        (ImageFormat::Gif, _) | (ImageFormat::Png, Some([_, 3])) => Mode::Palette,
        (ImageFormat::Png, Some([1, 0])) => Mode::TwoColours,
        (ImageFormat::Png, Some([_, 0 | 2])) => Mode::Opaque,
        _ if image.color().has_alpha() => Mode::Transparent,
        _ => Mode::Opaque,
    }
}

fn transparent(image: DynamicImage) -> Raster<'static> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let data = match image.color() {
        // Pillow keeps the upper byte.
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            image.into_rgba16().as_raw().iter().map(|level| (level >> 8) as u8).collect()
        }
        _ => image.into_rgba8().into_raw(),
    };
    Raster { width, height, channels: 4, data: data.into() }
}

fn opaque(image: DynamicImage) -> Raster<'static> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let data = match image {
        DynamicImage::ImageRgb8(image) => image.into_raw(),
        image => transparent(image).data.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
    };
    Raster { width, height, channels: 3, data: data.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode_png;

    const MODES: [ResizeMode; 3] = [ResizeMode::Shortest, ResizeMode::Longest, ResizeMode::Squash];

    #[test]
    fn any_shape_becomes_a_square_of_that_size() {
        for (w, h) in [(1, 1), (640, 480), (480, 641), (3, 900), (900, 2)] {
            for resize_mode in MODES {
                let how = Preprocess { resize_mode, fill_color: 2, ..Preprocess::clip(64) };
                let square = how.apply(&Rgb::filled(w, h, [2; 3]));
                assert_eq!(square, Rgb::filled(64, 64, [2; 3]), "{resize_mode:?}");
            }
        }
    }

    #[test]
    fn what_is_padded_lies_in_the_middle() {
        let image = Rgb::filled(10, 3, [200; 3]);
        let longest = Preprocess { resize_mode: ResizeMode::Longest, ..Preprocess::clip(10) };
        let square = Preprocess { fill_color: 7, ..longest }.apply(&image);
        let rows: Vec<u8> = (0..10).map(|y| square.row(y)[0]).collect();
        assert_eq!(rows, [7, 7, 7, 200, 200, 200, 7, 7, 7, 7]);
    }

    #[test]
    fn encoded_images_have_the_pixels_of_decoded_ones() {
        let data = (0..90u32 * 70 * 3).map(|i| (i * 31 % 253) as u8).collect();
        let image = Rgb { width: 90, height: 70, data };
        let bytes = encode_png(&image).unwrap();
        assert_eq!(clip_pixels(&bytes, 32).unwrap(), clip_preprocess(&image, 32));
        assert!(clip_pixels(&bytes[..60], 32).is_err());
        assert!(clip_pixels(b"", 32).is_err());
    }
}
