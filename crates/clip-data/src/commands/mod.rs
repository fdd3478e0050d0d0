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
pub mod queries;
pub mod report;
pub mod reshard;
pub mod retry;
pub mod verify;

use std::path::PathBuf;

use anyhow::bail;

/// The shards that a specification names, as files; those behind addresses are copied into the cache first.
fn shards(spec: &str) -> anyhow::Result<Vec<PathBuf>> {
    let shards = clip_crawl::local_shards(spec, &|address| eprintln!("copied {address}"))?;
    if let Some(absent) = shards.iter().find(|shard| !shard.is_file()) {
        bail!("{}: no such file", absent.display());
    }
    Ok(shards)
}
