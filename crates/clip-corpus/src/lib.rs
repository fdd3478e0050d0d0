//! What lies on disk: row schemas, ids, Parquet parts, WebDataset shards, manifests.

pub mod atomic;
pub mod columns;
mod error;
mod expand;
mod id;
mod manifest;
mod shard;
mod table;

pub use atomic::write_atomic;
pub use error::{Error, IoContext, Result};
pub use expand::expand;
pub use id::{row_id, row_index, row_part, uid};
pub use manifest::{Commit, Manifest, Tally};
pub use shard::{
    Member, Sample, ShardIndex, ShardInfo, ShardReader, ShardWriter, read_index, split_name,
};
pub use table::{PartWriter, hash_file, parquet_rows, read_parquet, schema_of, write_parquet};
