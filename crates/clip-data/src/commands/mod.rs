//! The commands, one file each.

pub mod build;
pub mod cluster;
pub mod contamination;
pub mod doctor;
pub mod explain;
pub mod fetch;
pub mod hash;
pub mod init;
pub mod inspect;
pub mod plan;
pub mod pull;
pub mod queries;
pub mod report;
pub mod reshard;
pub mod retry;
pub mod verify;

use std::path::PathBuf;

use anyhow::bail;

/// The shards that a specification names, as files that are there.
fn shards(spec: &str) -> anyhow::Result<Vec<PathBuf>> {
    let shards = clip_corpus::expand(spec)?;
    if let Some(absent) = shards.iter().find(|shard| !shard.is_file()) {
        bail!("{}: no such file", absent.display());
    }
    Ok(shards)
}
