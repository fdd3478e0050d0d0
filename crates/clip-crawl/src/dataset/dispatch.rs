//! Which row is asked next: the earliest of the list whose host has room.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clip_pipeline::{Error, Result};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;

use super::asks::{Ask, Ended, asks};
use super::collect::CollectorEvent;
use super::row::Fetcher;
use super::shards::Shard;
use crate::fetch::runtime;
use crate::host_queue::{HostQueue, IN_FLIGHT, Limiting, host_of};

/// Rows between the network and the disk.
pub(super) const ENDED: usize = 64;

/// A shard's number and what its rows ask for.
pub(super) type ShardAsks = (usize, Vec<Ask>);

/// Fetches what comes from `shards`, in the order of the list as far as hosts allow, until there
/// are no more; `note` gets a line when a host limits the run. Dropped, it drops what is in flight.
pub(super) async fn dispatch(
    fetcher: Arc<Fetcher>,
    mut shards: Receiver<ShardAsks>,
    ended: Sender<CollectorEvent>,
    note: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    let most = IN_FLIGHT.max(fetcher.config.fetch.concurrency);
    let mut queue = HostQueue::new(fetcher.config.fetch.per_host);
    let (mut tasks, mut more) = (JoinSet::new(), true);
    let mut limiting = Limiting::default();
    let mut look = Limiting::looks();
    loop {
        while tasks.len() < most
            && let Some((turn, (shard, ask))) = queue.pop()
        {
            let (fetcher, ended) = (fetcher.clone(), ended.clone());
            tasks.spawn(async move {
                for (rows, image) in fetcher.one(ask, turn).await {
                    let _ = ended.send(CollectorEvent::Rows(shard, Box::new(rows), image)).await;
                }
            });
        }
        if !more && tasks.is_empty() && queue.waiting() == 0 {
            return Ok(());
        }
        tokio::select! {
            shard = shards.recv(), if more => {
                more = shard.is_some();
                for (shard, ask) in shard.into_iter().flat_map(|(id, asks)| {
                    asks.into_iter().map(move |ask| (id, ask))
                }) {
                    queue.push(ask.url.as_deref().map(host_of).unwrap_or_default(), (shard, ask));
                }
            }
            () = queue.request_ended() => {}
            Some(end) = tasks.join_next() => end.map_err(|e| Error::stage("fetch", e))?,
            _ = look.tick() => {
                if let Some(line) = limiting.line(&queue, tasks.len()) {
                    note(&line);
                }
            }
        }
    }
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
