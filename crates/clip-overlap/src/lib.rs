//! Contamination without a model: candidates, aligned verification, decisions and statistics.
//!
//! An evaluation set is fingerprinted once ([`EvalIndex`]). A corpus is streamed against it unit by
//! unit ([`Scan`]), a build one image at a time ([`Checker`]). What was found is decided by
//! thresholds and by eye ([`CopyRule`], [`Decisions`]), and accounted for
//! ([`ContaminationReport`]).
//!
//! In layers, each of which knows only those before it: `pyramid` (an image at several sizes),
//! `alignment` (one laid over another), `score` (how alike they are then), `decision` (whether that
//! is a copy), `search` (which items are worth it), and what reads a corpus and writes reports.
//!
//! ```
//! use clip_overlap::{CopyRule, HitKind, Judgement, Verdict};
//!
//! // Scores decide, until a person has looked at the pair.
//! let rule = CopyRule::at(0.9).reviewed([("item 7", "image 2", Verdict::Reject)]);
//! assert!(rule.is_copy("item 7", "image 1", HitKind::Near, 0.95));
//! assert!(!rule.is_copy("item 7", "image 2", HitKind::Near, 0.95));
//! // What shows next to nothing proves nothing.
//! assert_eq!(rule.judge("item 7", "image 3", HitKind::Flat, 0.99), Judgement::Unproven);
//! ```

mod alignment;
mod checker;
pub mod corpus;
mod decision;
mod error;
mod hit_kind;
mod matches;
mod pairwise;
mod pyramid;
mod removal;
mod report;
mod scan;
mod score;
mod search;
pub mod stage;
pub mod text;
pub mod training;

pub use alignment::Transform;
pub use checker::{Checker, Hit};
pub use decision::{CopyRule, Decisions, Judgement, ReviewedPair, SetDecision, THRESHOLD, Verdict};
pub use error::{Error, Result};
pub use hit_kind::HitKind;
pub use matches::{
    CopiedItem, Match, PAIRS, ShardHashes, TEXTS, copy_lists, read as read_matches,
    read_copied_items, write_pairs,
};
pub use pairwise::{pair_score, thumbnail};
pub use pyramid::shrink;
pub use removal::Removal;
pub use report::predictions;
pub use report::{
    ArmRuns, CaptionOverlap, ClassFrequency, ClassNames, ContaminationReport, Copy, CorpusAccount,
    Difference, Dose, FrequencyBand, FrequencyReport, RetrainRuns, Retrained, SetReport, Split,
    Subject, TextCopy, TextOverlap, names, write_text_copies,
};
pub use scan::{Scan, ScanOptions, Scanned, UnitCount};
pub use score::{ScoreParts, Similarity, score};
pub use search::{
    CandidateOptions, Detection, Embedder, EvalIndex, Fingerprint, Found, Keypoint, Query,
    SetIndex, Unreadable, default_cache,
};
