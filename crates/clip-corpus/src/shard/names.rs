//! How a data set names its shards and their samples.

use std::path::Path;

/// Whether a path has the extension of a shard.
pub fn is_shard(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tar")
}

/// img2dataset's names: a shard is its number, a sample its shard's number and its own, each with
/// leading zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardNames {
    shard_digits: usize,
    row_digits: usize,
}

impl ShardNames {
    /// With this many digits of a shard's number and rows of a shard: 4 digits for 10,000 rows.
    pub fn new(shard_digits: usize, rows: usize) -> Self {
        let row_digits = rows.saturating_sub(1).checked_ilog10().map_or(0, |d| d as usize + 1);
        Self { shard_digits, row_digits }
    }

    /// The name of a shard.
    pub fn shard(self, shard: usize) -> String {
        format!("{shard:0width$}", width = self.shard_digits)
    }

    /// The key of a row of a shard.
    pub fn sample(self, shard: usize, row: usize) -> String {
        let number = shard as u128 * 10u128.pow(self.row_digits as u32) + row as u128;
        format!("{number:0width$}", width = self.row_digits + self.shard_digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_img2datasets() {
        let key = |rows, shard, row| ShardNames::new(5, rows).sample(shard, row);
        assert_eq!(key(10_000, 1, 23), "000010023");
        assert_eq!(key(1_000, 1, 23), "00001023");
        assert_eq!(key(1, 7, 0), "00007");
        assert_eq!(key(5, 0, 4), "000004");
        assert_eq!(key(10_000, 123_456, 7), "1234560007");
        assert_eq!(ShardNames::new(5, 5).shard(12), "00012");
    }
}
