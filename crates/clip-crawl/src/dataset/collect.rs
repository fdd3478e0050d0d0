//! Gathers the rows of the shards that are under way, in whatever order they end.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use clip_pipeline::{Error, Result};
use tokio::sync::OwnedSemaphorePermit;

use super::row::{Done, Status};
use super::shards::Shard;
use crate::spool::{Place, Spool};

/// What the collector is told.
pub(super) enum Told {
    /// A shard begins. Its permit keeps the number of shards under way small.
    Begins(Arc<Shard>, OwnedSemaphorePermit),
    /// A row of a shard ended.
    Row(usize, usize, Box<Done>, Vec<u8>),
}

/// A shard with all its rows.
pub(super) struct Whole {
    pub shard: Arc<Shard>,
    pub rows: Vec<Done>,
    pub places: Vec<Option<Place>>,
    pub spool: Spool,
    pub started: SystemTime,
    pub _permit: OwnedSemaphorePermit,
}

struct Open {
    shard: Arc<Shard>,
    rows: Vec<Option<(Done, Option<Place>)>>,
    left: usize,
    spool: Spool,
    started: SystemTime,
    permit: OwnedSemaphorePermit,
}

/// Shards under way.
pub(super) struct Collector<'a> {
    /// Where images wait.
    pub spool: &'a Path,
    open: HashMap<usize, Open>,
}

impl<'a> Collector<'a> {
    pub fn new(spool: &'a Path) -> Self {
        Self { spool, open: HashMap::new() }
    }

    /// Takes what was told; gives a shard when that was its last row.
    pub fn take(&mut self, told: Told) -> Result<Option<Whole>> {
        match told {
            Told::Begins(shard, permit) => {
                let left = shard.rows.num_rows();
                let rows = (0..left).map(|_| None).collect();
                let (spool, started) = (Spool::create(self.spool)?, SystemTime::now());
                let id = shard.id;
                self.open.insert(id, Open { shard, rows, left, spool, started, permit });
                Ok(None)
            }
            Told::Row(id, row, done, image) => {
                let unknown = || Error::stage("fetch", format!("shard {id} is not under way"));
                let open = self.open.get_mut(&id).ok_or_else(unknown)?;
                let place = match done.status {
                    Status::Success => Some(open.spool.put(&image)?),
                    _ => None,
                };
                if open.rows[row].replace((*done, place)).is_none() {
                    open.left -= 1;
                }
                if open.left > 0 {
                    return Ok(None);
                }
                let Some(open) = self.open.remove(&id) else { return Ok(None) };
                let Open { shard, rows, spool, started, permit, .. } = open;
                let (rows, places) = rows.into_iter().flatten().unzip();
                Ok(Some(Whole { shard, rows, places, spool, started, _permit: permit }))
            }
        }
    }
}
