//! The row-local stages over captions and images, and the shards at the end.
//!
//! The stages that need all rows at once (duplicates, balance) are SQL and live in `clip-sql`.
//!
//! ```
//! // img2dataset's keys: the shard's number, then the sample's.
//! assert_eq!(clip_curate::shard_key(12, 7, 10_000), "000120007");
//! ```

mod captions;
mod check;
mod language;
mod matching;
mod shards;
mod similarity;

pub use captions::Captions;
pub use check::Check;
pub use language::Languages;
pub use matching::Matches;
pub use shards::{ShardSink, shard_key};
pub use similarity::Aligned;
