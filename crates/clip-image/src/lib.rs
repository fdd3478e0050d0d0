//! Images: probe, decode, resize, encode, perceptual hashes and the Hamming index.

mod area;
mod blur;
mod decode;
mod encode;
mod error;
mod hamming;
pub mod hash;
mod pillow;
mod icc;
mod interpolate;
mod preprocess;
mod probe;
mod resize;
mod rgb;

pub use blur::{Box, blur_boxes, upright_box};
pub use decode::{DecodeOptions, decode};
pub use encode::{encode_jpeg, encode_png, encode_png_level, encode_webp};
pub use error::{Error, Result};
pub use hamming::HammingIndex;
pub use preprocess::{clip_pixels, clip_preprocess};
pub use interpolate::{Interpolation, opencv_resize};
pub use probe::{Format, Probe, orientation, probe};
pub use resize::{Filter, resize};
pub use rgb::{Rgb, crop, flip_horizontal};
