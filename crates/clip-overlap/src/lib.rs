//! Contamination without a model: candidates, aligned verification, decisions and statistics.
//!
//! An evaluation set is fingerprinted once ([`EvalIndex`]). A corpus is streamed against it unit by
//! unit ([`Scan`]), a build one image at a time ([`Checker`]). What was found is decided by
//! thresholds and by eye ([`Decisions`]), and accounted for ([`ContaminationReport`]).

mod align;
mod candidates;
mod captions;
mod checker;
mod coarse;
pub mod corpus;
mod decisions;
mod detector;
mod effect;
mod error;
mod fingerprint;
mod index;
mod keypoints;
mod matches;
mod padding;
mod pairwise;
pub mod predictions;
mod report;
mod scan;
mod set;
mod simd;
mod similarity;
pub mod stage;
mod thumb;
mod transform;
mod vector;

pub use candidates::CandidateOptions;
pub use captions::names;
pub use checker::{Checker, Hit};
pub use decisions::{Decisions, ReviewedPair, SetDecision, THRESHOLD, Verdict};
pub use detector::{Detection, Embedder};
pub use effect::Difference;
pub use error::{Error, Result};
pub use fingerprint::{Fingerprint, Query};
pub use index::{EvalIndex, Unreadable, default_cache};
pub use keypoints::Keypoint;
pub use matches::{Match, read_copies, write_pairs};
pub use pairwise::{likeness, thumbnail};
pub use report::{CaptionOverlap, ContaminationReport, Copy, CorpusAccount, SetReport, Subject};
pub use scan::{Scan, ScanOptions, Scanned, UnitCount};
pub use set::{Found, Kind, SetIndex};
pub use similarity::Similarity;
pub use thumb::shrink;
pub use transform::Transform;
