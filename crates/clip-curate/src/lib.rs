//! The row-local stages over captions and images, and the shards at the end.
//!
//! The stages that need all rows at once (duplicates, balance) are SQL and live in `clip-sql`.
//!
//! ```
//! // Shards of 10,000 samples, written from the parts of the stage before; no parts, no shards.
//! use clip_pipeline::Sink;
//!
//! assert_eq!(clip_curate::ShardSink::new(10_000).units(&[]), 0);
//! ```

mod block;
mod captions;
mod check;
mod language;
mod matching;
mod quality;
mod score;
mod shards;
mod similarity;

pub use block::{BlockImages, BlockUrls};
pub use captions::Captions;
pub use check::Check;
pub use language::Languages;
pub use matching::Matches;
pub use quality::{QualityFilter, QualityModel};
pub use score::{PairScorer, Scores};
pub use shards::ShardSink;
pub use similarity::Aligned;
