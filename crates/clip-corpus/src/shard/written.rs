//! What a shard was written as, by the `_stats.json` beside it.

use std::path::Path;

use clip_format::FileError;
use serde_json::Value;

/// A shard as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its blake3.
    pub blake3: String,
    /// Its length, where that was noted.
    pub bytes: Option<u64>,
}

impl Written {
    /// By the statistics beside a shard; none where they are not there, or of another tool.
    ///
    /// # Errors
    /// When they are no JSON.
    pub fn of(shard: &Path) -> Result<Option<Self>, FileError> {
        let name = shard.file_stem().unwrap_or_default().to_string_lossy();
        let stats = shard.with_file_name(format!("{name}_stats.json"));
        let Ok(text) = std::fs::read(&stats) else { return Ok(None) };
        let value: Value = serde_json::from_slice(&text).map_err(|e| FileError::new(&stats, e))?;
        let blake3 = value["blake3"].as_str().map(str::to_owned);
        Ok(blake3.map(|blake3| Self { blake3, bytes: value["bytes"].as_u64() }))
    }
}
