//! Which shards a training has read: `shards.jsonl` in its folder.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Error, Result};

/// A shard that a training has read; a line of its [`TrainedShard::FILE`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TrainedShard {
    /// Where it was.
    #[serde(default)]
    pub shard: PathBuf,
    /// blake3 of what it held; empty where the training does not say it.
    #[serde(default)]
    pub blake3: String,
}

impl TrainedShard {
    /// The file in the training's folder.
    pub const FILE: &str = "shards.jsonl";

    /// The shards of the file's text; `path` is named where it is damaged.
    ///
    /// # Errors
    /// For a line that is none.
    pub fn parse(text: &str, path: &Path) -> Result<Vec<Self>> {
        let line = |(line, text): (usize, &str)| {
            serde_json::from_str(text).map_err(|source| Error::Manifest {
                path: path.into(),
                line,
                source,
            })
        };
        (1..).zip(text.lines()).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_without_its_hash_is_known_by_its_place_alone() {
        let text = "{\"shard\":\"/a.tar\",\"bytes\":1,\"blake3\":\"aa\"}\n{\"shard\":\"/b.tar\"}\n";
        let shards = TrainedShard::parse(text, Path::new("shards.jsonl")).unwrap();
        let found: Vec<_> = shards.iter().map(|s| (s.shard.to_str(), s.blake3.as_str())).collect();
        assert_eq!(found, [(Some("/a.tar"), "aa"), (Some("/b.tar"), "")]);
        let error =
            TrainedShard::parse("{}\n{", Path::new("shards.jsonl")).unwrap_err().to_string();
        assert!(error.starts_with("shards.jsonl line 2: "), "{error}");
    }
}
