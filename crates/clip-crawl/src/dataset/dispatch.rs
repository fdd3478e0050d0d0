//! The rows of shards on their way to their hosts.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clip_pipeline::config::fetch::FetchConfig;
use clip_pipeline::{Error, Result};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::asks::{Ask, asks};
use super::collect::CollectorEvent;
use super::outcome::Ended;
use super::row::Fetcher;
use super::shards::Shard;
use crate::dispatch::{self, Bounds};
use crate::fetch::runtime;
use crate::host_queue::host_of;

/// Rows between the network and the disk.
pub(super) const ENDED: usize = 64;

/// A shard's number and what its rows ask for.
pub(super) type ShardAsks = (usize, Vec<Ask>);

/// Fetches what comes from `shards`, in the order of the list as far as hosts allow, until there
/// are no more; `note` gets a line when a host limits the run. Dropped, it drops what is in flight.
pub(super) async fn dispatch(
    fetcher: Arc<Fetcher>,
    shards: Receiver<ShardAsks>,
    ended: Sender<CollectorEvent>,
    note: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    let FetchConfig { per_host, concurrency, .. } = fetcher.config.fetch;
    let host = |ask: &Ask| ask.url.as_deref().map(host_of).unwrap_or_default();
    let ask = |shard, ask, turn| {
        let (fetcher, ended) = (fetcher.clone(), ended.clone());
        async move {
            for (rows, image) in fetcher.one(ask, turn).await {
                let _ = ended.send(CollectorEvent::Rows(shard, Box::new(rows), image)).await;
            }
        }
    };
    let dispatched = dispatch::dispatch(Bounds { per_host, concurrency }, shards, host, ask, note);
    dispatched.await.map_err(|e| Error::stage("fetch", e))
}

/// Fetches rows of one shard, for those who do it shard by shard.
pub(super) fn some_rows(
    fetcher: &Arc<Fetcher>,
    shard: &Shard,
    rows: &HashSet<usize>,
    take: &mut dyn FnMut(Ended, Vec<u8>) -> Result<()>,
    cancel: &AtomicBool,
) -> Result<()> {
    let mut rows: Vec<usize> = rows.iter().copied().collect();
    rows.sort_unstable();
    let asks = asks(&fetcher.config, shard, rows.into_iter());
    let (to_fetch, shards) = mpsc::channel(1);
    let (ended, mut events) = mpsc::channel(ENDED);
    let (id, fetcher) = (shard.id, fetcher.clone());
    let task = runtime()?.spawn(async move {
        // The only shard: the channel closes behind it.
        let _ = to_fetch.send((id, asks)).await;
        drop(to_fetch);
        dispatch(fetcher, shards, ended, &|_: &str| {}).await
    });
    while let Some(event) = events.blocking_recv() {
        let result = match event {
            CollectorEvent::Rows(_, rows, image) => take(*rows, image),
            CollectorEvent::Begins(_) => Ok(()),
        };
        if result.is_err() || cancel.load(Ordering::Relaxed) {
            task.abort();
            return result;
        }
    }
    runtime()?.block_on(task).map_err(|e| Error::stage("retry", e))?
}
