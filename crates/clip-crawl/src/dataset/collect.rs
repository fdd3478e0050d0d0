//! Gathers the rows of the shards that are in flight, in whatever order they end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::outcome::{Done, Ended, Status};
use super::shards::Shard;
use crate::error::may_pass;
use crate::spool::{Kept, Place, Spool};
use crate::window::WindowPermit;
use clip_pipeline::{Error, Result};

/// What the collector gets.
pub(super) enum CollectorEvent {
    /// A shard begins. Its permit bounds the bytes of the shards in flight.
    Begins(Box<Begun>),
    /// Rows of a shard ended.
    Rows(usize, Box<Ended>, Vec<u8>),
}

/// A shard that begins.
pub(super) struct Begun {
    pub shard: Arc<Shard>,
    pub spool: Spool,
    /// Rows that an earlier run has the results of.
    pub kept: Vec<Kept<Ended>>,
    pub permit: WindowPermit,
}

/// A shard with all its rows.
pub(super) struct Whole {
    pub shard: Arc<Shard>,
    pub rows: Vec<Done>,
    pub places: Vec<Option<Place>>,
    pub spool: Spool,
    pub started: SystemTime,
    pub _permit: WindowPermit,
}

struct Open {
    shard: Arc<Shard>,
    rows: Vec<Option<(Done, Option<Place>)>>,
    left: usize,
    spool: Spool,
    started: SystemTime,
    permit: WindowPermit,
}

impl Open {
    fn ended(&mut self, ended: &Ended, place: Place) {
        let place = (ended.done.status == Status::Success).then_some(place);
        for &row in &ended.rows {
            if self.rows[row].replace((ended.done.clone(), place)).is_none() {
                self.left -= 1;
            }
        }
    }
}

/// Shards in flight.
#[derive(Default)]
pub(super) struct Collector {
    open: HashMap<usize, Open>,
}

impl Collector {
    /// A shard that began and has rows without an end.
    pub fn unfinished(&self) -> Option<(usize, usize)> {
        self.open.iter().map(|(id, open)| (*id, open.left)).min()
    }

    /// Takes an event; gives a shard when that was its last row.
    pub fn take(&mut self, event: CollectorEvent) -> Result<Option<Whole>> {
        let id = match event {
            CollectorEvent::Begins(begun) => {
                let Begun { shard, spool, kept, permit } = *begun;
                let (id, left) = (shard.id, shard.rows.num_rows());
                let rows = (0..left).map(|_| None).collect();
                let started = SystemTime::now();
                let mut open = Open { shard, rows, left, spool, started, permit };
                kept.iter().for_each(|(ended, place)| open.ended(ended, *place));
                open.permit.on_disk(open.spool.bytes());
                self.open.insert(id, open);
                id
            }
            CollectorEvent::Rows(id, ended, image) => {
                let unknown = || Error::stage("fetch", format!("shard {id} is not in flight"));
                let open = self.open.get_mut(&id).ok_or_else(unknown)?;
                // What may pass is asked again by the run that resumes this one.
                let place = match &ended.done.kind {
                    Some(kind) if may_pass(kind) => open.spool.put(&image)?,
                    _ => open.spool.record(&*ended, &image)?,
                };
                open.ended(&ended, place);
                open.permit.on_disk(open.spool.bytes());
                id
            }
        };
        if self.open.get(&id).is_none_or(|open| open.left > 0) {
            return Ok(None);
        }
        let Some(open) = self.open.remove(&id) else { return Ok(None) };
        let Open { shard, rows, spool, started, permit, .. } = open;
        let (rows, places) = rows.into_iter().flatten().unzip();
        Ok(Some(Whole { shard, rows, places, spool, started, _permit: permit }))
    }
}
