//! The formats on disk: row schemas, ids, Parquet parts, WebDataset shards, manifests.
//!
//! ```
//! use clip_corpus::{Sample, ShardReader, ShardWriter};
//!
//! # fn main() -> clip_corpus::Result<()> {
//! let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("00000.tar");
//! let fields = vec![("txt".into(), b"a red fox".to_vec())];
//! let mut shard = ShardWriter::create(&path)?;
//! shard.write(&Sample { key: "000000000".into(), fields })?;
//! shard.finish()?;
//!
//! let samples: Vec<Sample> = ShardReader::open(&path)?.collect::<Result<_, _>>()?;
//! assert_eq!(samples[0].get("txt"), Some(b"a red fox".as_slice()));
//! # Ok(())
//! # }
//! ```

mod cache;
mod cells;
pub mod columns;
mod delimited;
mod embedding_names;
mod error;
mod error_report;
mod expand;
mod file_state;
mod forget;
mod gone;
mod id;
pub mod json;
mod lock;
mod manifest;
mod mirror;
mod name;
mod parquet_checked;
mod parquet_file;
mod parquet_thrift;
mod replace;
mod reshard;
mod shard;
mod subset;
mod table;
mod verify;
mod verify_files;
mod verify_tables;

pub use cache::cache_folder;
pub use cells::{cell, python_cell};
pub use clip_store::{is_remote, redacted};
pub use delimited::{Delimited, Row};
pub use embedding_names::EmbeddingNames;
pub use error::{Error, IoContext, Result};
pub use error_report::error_report;
pub use expand::{expand, expand_in, expand_present, names, shards_below};
pub use file_state::file_state;
pub use forget::{
    NOT_ASKED, Uids, check_embeddings, check_table, copy_without, count_in_embeddings,
    count_in_shard, count_in_subset, find_rows, forget_embeddings, forget_in_shard,
    forget_in_subset, forget_in_table, holds, lacks_uids, npy_rows, npy_without, status_key,
    texts_at,
};
pub use gone::{RESHARDING, gone, require_shards};
pub use id::{row_id, row_index, row_part, uid};
pub use lock::lock_file;
pub use manifest::{Commit, Counts, Manifest, PartFile};
pub use mirror::local;
pub use name::{BadName, below, check_name};
pub use parquet_file::{Batches, ParquetFile, check_pages};
pub use replace::Replacement;
pub use reshard::{Reshard, Resharded};
pub use shard::{
    Member, Sample, ShardFiles, ShardIndex, ShardInfo, ShardNames, ShardReader, ShardWriter,
    TrainedShard, Written, is_shard, read_index, split_name,
};
pub use subset::{SubsetWriter, read_subset, subset_ids, uid_number, write_subset};
pub use table::{
    PartWriter, hash_file, parquet_rows, read_parquet, scan, schema_of, write_parquet,
};
pub use verify::{
    Finding, ImageCheck, OTHER_CONTENT, Verified, verify_file, verify_shard, verify_subset,
    verify_table,
};
pub use verify_files::verify_files;
pub use verify_tables::{missing_parts, verify_tables, write_part_count};
