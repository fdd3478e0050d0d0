//! Images: probe, decode, resize, encode, perceptual hashes and the Hamming index.

mod decode;
mod encode;
mod error;
mod hamming;
pub mod hash;
mod preprocess;
mod probe;
mod resize;
mod rgb;
mod union;

pub use decode::{DecodeOptions, decode};
pub use encode::{encode_jpeg, encode_png, encode_webp};
pub use error::{Error, Result};
pub use hamming::{HammingIndex, Pair, for_near_pairs, near_pairs};
pub use preprocess::clip_preprocess;
pub use probe::{Format, Probe, orientation, probe};
pub use resize::{Filter, resize};
pub use rgb::{Rgb, crop, flip_horizontal};
pub use union::UnionFind;
