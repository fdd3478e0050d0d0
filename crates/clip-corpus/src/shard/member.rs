//! Where a member of a shard is.

use serde::{Deserialize, Serialize};

/// One member of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Key of its sample.
    pub key: String,
    /// Its field.
    pub field: String,
    /// Offset of its content in the tar file, in bytes.
    pub offset: u64,
    /// Length of its content, in bytes.
    pub size: u64,
}
