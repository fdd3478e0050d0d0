//! Which items of an evaluation set an image may be a copy of, and which it is.

mod candidates;
mod consensus;
mod detector;
mod fingerprint;
mod found;
mod index;
mod keypoints;
mod orientation;
mod panels;
mod set;
mod vector;
mod words;

pub use candidates::CandidateOptions;
pub(crate) use detector::Pair;
pub use detector::{Detection, Embedder};
pub(crate) use fingerprint::WORKING;
pub use fingerprint::{Fingerprint, Query};
pub use found::Found;
pub use index::{EvalIndex, Unreadable, default_cache};
pub use keypoints::Keypoint;
pub use set::SetIndex;
pub(crate) use vector::Nearest;
