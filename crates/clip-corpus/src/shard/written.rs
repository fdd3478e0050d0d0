//! What a shard was written as, by the `_stats.json` beside it.

use std::path::Path;

use clip_format::FileError;
use serde_json::Value;

use crate::error::IoContext;
use crate::verify::OTHER_CONTENT;
use crate::{Error, Result, hash_file};

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
    pub fn of(shard: &Path) -> std::result::Result<Option<Self>, FileError> {
        let name = shard.file_stem().unwrap_or_default().to_string_lossy();
        let stats = shard.with_file_name(format!("{name}_stats.json"));
        let Ok(text) = std::fs::read(&stats) else { return Ok(None) };
        let value: Value = serde_json::from_slice(&text).map_err(|e| FileError::new(&stats, e))?;
        let blake3 = value["blake3"].as_str().map(str::to_owned);
        Ok(blake3.map(|blake3| Self { blake3, bytes: value["bytes"].as_u64() }))
    }

    /// The blake3 of a shard: what its statistics say, where it has the length that they say; else
    /// of its bytes.
    ///
    /// # Errors
    /// When the shard cannot be read.
    pub fn blake3_of(shard: &Path) -> Result<String> {
        let length = std::fs::metadata(shard).at(shard)?.len();
        match Self::of(shard) {
            Ok(Some(Self { blake3, bytes: Some(bytes) })) if bytes == length => Ok(blake3),
            _ => Ok(hash_file(shard)?.0),
        }
    }

    /// Refuses a shard whose bytes are not what its statistics say, where they say their hash.
    ///
    /// # Errors
    /// As those of [`Self::verified_blake3`].
    pub fn check(shard: &Path) -> Result<()> {
        match Self::of(shard) {
            Ok(Some(_)) => Self::verified_blake3(shard).map(drop),
            _ => Ok(()),
        }
    }

    /// The blake3 of a shard's bytes, which is what its statistics say, where they say one.
    ///
    /// # Errors
    /// When it is another (stored data is damaged), or the shard cannot be read.
    pub fn verified_blake3(shard: &Path) -> Result<String> {
        let (blake3, _) = hash_file(shard)?;
        match Self::of(shard) {
            Ok(Some(written)) if written.blake3 != blake3 => {
                Err(Error::Damaged { path: shard.to_path_buf(), reason: OTHER_CONTENT.into() })
            }
            _ => Ok(blake3),
        }
    }
}
