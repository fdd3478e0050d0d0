//! How shards are cut.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// How shards are cut.
#[derive(Debug, Clone)]
pub struct Reshard {
    /// Samples in a shard.
    pub shard_size: usize,
    /// Number of the first shard.
    pub first_shard: usize,
    /// Digits of a shard's number; DataComp's have 8.
    pub digits: usize,
    /// The ids to keep, in any order, one that is listed n times n times; all samples when absent.
    pub subset: Option<Vec<u128>>,
    /// Keys of the samples to leave out of a shard, by its path as it is given.
    pub without: HashMap<PathBuf, HashSet<String>>,
    /// The seed of another order of all samples, which depends on it and on their uids (keys where
    /// they have none) alone; without it they keep their order.
    pub shuffle: Option<u64>,
}
