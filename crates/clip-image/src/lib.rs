//! Images: probe, decode, resize, encode, perceptual hashes and the Hamming index.
//!
//! ```
//! use clip_image::{DecodeOptions, Filter, Rgb, decode, encode_png, hash, resize};
//!
//! # fn main() -> clip_image::Result<()> {
//! let file = encode_png(&Rgb::filled(640, 480, [200, 30, 30]))?;
//! let image = decode(&file, &DecodeOptions::default())?;
//! let small = resize(&image, 32, 32, Filter::Bicubic);
//! assert_eq!((small.width, small.height, small.row(0)[0]), (32, 32, 200));
//! assert_eq!(hash::phash(&image), hash::phash(&small));
//! # Ok(())
//! # }
//! ```

mod area;
mod avif;
mod blur;
mod bmff;
mod codecs;
mod decode;
mod encode;
mod error;
mod exif;
mod guard;
mod hamming;
pub mod hash;
mod header;
mod icc;
mod interpolate;
mod jpeg;
mod jpeg_xl;
mod jumbf;
mod kernel;
mod near_join;
mod palette;
mod pillow;
mod preprocess;
pub mod preprocess_cfg;
mod resample;
mod resize;
mod rgb;
mod segments;
mod taps;
mod transpose;
mod union;

pub use blur::{BoundingBox, blur_boxes, upright_box};
pub use decode::{DecodeOptions, decode};
pub use encode::{encode_jpeg, encode_png, encode_png_level, encode_webp};
pub use error::{Error, Result};
pub use exif::{Exif, ExifDirectory, ExifEntry};
pub use hamming::HammingIndex;
pub use header::ImageHeader;
pub use interpolate::{Interpolation, opencv_resize};
pub use jumbf::c2pa_store;
pub use near_join::{NearJoin, Pair, for_near_pairs, near_pairs};
pub use preprocess::{Preprocess, Resampling, ResizeMode, clip_pixels, clip_preprocess};
pub use resize::{Filter, pillow_resize, resize, resized_crop};
pub use rgb::{Rgb, crop, flip_horizontal};
pub use union::UnionFind;
