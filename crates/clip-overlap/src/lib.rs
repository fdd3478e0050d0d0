//! Contamination without a model: candidates, aligned verification, decisions and statistics.

mod account;
mod align;
mod candidates;
mod checker;
mod error;
mod fingerprint;
mod keypoints;
mod pair;
mod set;
mod thumb;
mod vector;

pub use account::{Account, Copy, SetAccount, copies, correct};
pub use align::{Likeness, Placement};
pub use candidates::CandidateOptions;
pub use checker::{Checker, Hit};
pub use error::{Error, Result};
pub use fingerprint::Fingerprint;
pub use keypoints::Keypoint;
pub use pair::{likeness, thumbnail};
pub use set::{Found, Kind, SetIndex};
