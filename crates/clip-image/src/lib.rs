//! Images: probe, decode, resize, encode, perceptual hashes and the Hamming index.

mod area;
mod blur;
mod codecs;
mod decode;
mod encode;
mod error;
mod exif;
mod guard;
mod hamming;
pub mod hash;
mod icc;
mod interpolate;
mod jpeg;
mod palette;
mod pillow;
mod preprocess;
mod probe;
mod resample;
mod resize;
mod rgb;
mod segments;
mod taps;
mod union;

pub use blur::{BoundingBox, blur_boxes, upright_box};
pub use decode::{DecodeOptions, decode};
pub use encode::{encode_jpeg, encode_png, encode_png_level, encode_webp};
pub use error::{Error, Result};
pub use exif::{ExifDirectory, ExifEntry, exif_entries, orientation};
pub use hamming::{HammingIndex, Pair, for_near_pairs, near_pairs};
pub use interpolate::{Interpolation, opencv_resize};
pub use preprocess::{Preprocess, Resampling, ResizeMode, clip_pixels, clip_preprocess};
pub use probe::{Probe, may_be_transparent, probe};
pub use resize::{Filter, resize};
pub use rgb::{Rgb, crop, flip_horizontal};
pub use union::UnionFind;
