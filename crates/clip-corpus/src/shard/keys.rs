//! The rule that a key names one sample of a shard.

use std::collections::HashMap;
use std::path::Path;

use super::Member;
use crate::{Error, Result};

/// The keys of a shard's samples so far, each with the place of its first member.
///
/// Whoever reads or writes a shard asks here, so that all commands take and refuse the same shards.
#[derive(Debug, Default)]
pub(crate) struct Keys(HashMap<String, u64>);

impl Keys {
    /// Notes that a sample begins at byte `offset` of `shard`.
    ///
    /// # Errors
    /// [`Error::DuplicateKey`] when another sample of the shard has the key.
    pub fn begin(&mut self, shard: &Path, key: &str, offset: u64) -> Result<()> {
        if let Some(&first) = self.0.get(key) {
            let (path, key) = (shard.to_path_buf(), key.to_owned());
            return Err(Error::DuplicateKey { path, key, first, again: offset });
        }
        self.0.insert(key.to_owned(), offset);
        Ok(())
    }

    /// Checks the members of a whole shard.
    pub fn check(shard: &Path, members: &[Member]) -> Result<()> {
        let mut keys = Self::default();
        let mut sample = 0;
        for (at, member) in members.iter().enumerate() {
            let same = &members[sample..at];
            let new = same.first().is_none_or(|first| first.key != member.key)
                || same.iter().any(|other| other.field == member.field);
            if new {
                keys.begin(shard, &member.key, member.offset)?;
                sample = at;
            }
        }
        Ok(())
    }
}
