//! WebDataset shards: tar files whose consecutive members with one key are a sample.
//!
//! The rules are those of Python `webdataset`: a member's key is its path up to the first dot of
//! its base name, the rest, lower-cased, is the field. A key names one sample of a shard: see
//! [`crate::Error::DuplicateKey`].

mod content;
mod files;
mod index;
mod keys;
mod member;
mod names;
mod reader;
mod sample;
mod trained;
mod writer;
mod written;

pub use files::ShardFiles;
pub use index::{ShardIndex, read_index};
pub use member::Member;
pub use names::{ShardNames, is_shard};
pub use reader::ShardReader;
pub use sample::{Sample, split_name};
pub use trained::TrainedShard;
pub use writer::{ShardInfo, ShardWriter};
pub use written::Written;
