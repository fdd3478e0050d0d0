//! The loop that asks hosts: which item is asked next, and how many are in flight.

use tokio::sync::mpsc::Receiver;
use tokio::task::{JoinError, JoinSet};

use crate::host_queue::{HostQueue, HostTurn, IN_FLIGHT, Limiting};

/// What bounds the items in flight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Requests to a host.
    pub per_host: usize,
    /// Requests in all: those that wait for their host come on top.
    pub concurrency: usize,
}

/// Asks for what comes from `lists` until there are no more: each is a key and its items, asked in
/// the order in which they came as far as hosts allow. `host` is an item's host, empty where it has
/// none; `note` gets a line when a host limits the run. Dropped, it drops what is in flight.
///
/// # Errors
/// When `ask` panicked: the items that are left are dropped.
pub(crate) async fn dispatch<K, A, F>(
    bounds: Bounds,
    mut lists: Receiver<(K, Vec<A>)>,
    host: impl Fn(&A) -> String,
    ask: impl Fn(K, A, HostTurn) -> F,
    note: &(dyn Fn(&str) + Sync),
) -> Result<(), JoinError>
where
    K: Clone,
    F: Future<Output = ()> + Send + 'static,
{
    let most = IN_FLIGHT.max(bounds.concurrency);
    let mut queue = HostQueue::new(bounds.per_host);
    let (mut tasks, mut more) = (JoinSet::new(), true);
    let mut limiting = Limiting::default();
    let mut look = Limiting::looks();
    loop {
        while tasks.len() < most
            && let Some((turn, (key, item))) = queue.pop()
        {
            tasks.spawn(ask(key, item, turn));
        }
        if !more && tasks.is_empty() && queue.waiting() == 0 {
            return Ok(());
        }
        tokio::select! {
            list = lists.recv(), if more => {
                more = list.is_some();
                if let Some((key, items)) = list {
                    for item in items {
                        queue.push(host(&item), (key.clone(), item));
                    }
                }
            }
            () = queue.request_ended() => {}
            Some(end) = tasks.join_next() => end?,
            _ = look.tick() => {
                if let Some(line) = limiting.line(&queue, tasks.len()) {
                    note(&line);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::mpsc;

    use super::*;

    const BOUNDS: Bounds = Bounds { per_host: 1, concurrency: 1 };

    /// Asks for two lists of (host, item); gives them in the order in which they were asked.
    async fn asked(lists: [Vec<(&'static str, u32)>; 2]) -> Result<Vec<(usize, u32)>, JoinError> {
        let (send, receive) = mpsc::channel(2);
        for list in lists.into_iter().enumerate() {
            send.send(list).await.unwrap();
        }
        drop(send);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let ask = |key: usize, (host, item): (&str, u32), turn: HostTurn| {
            let (seen, panics) = (seen.clone(), host == "panics");
            async move {
                assert!(!panics, "as asked for");
                seen.lock().unwrap().push((key, item));
                drop(turn);
            }
        };
        dispatch(BOUNDS, receive, |(host, _)| (*host).to_owned(), ask, &|_| {}).await?;
        Ok(std::mem::take(&mut *seen.lock().unwrap()))
    }

    #[tokio::test]
    async fn lists_share_one_queue_and_all_their_items_are_asked() {
        let seen = asked([vec![("a", 0), ("a", 1), ("b", 2)], vec![("a", 3), ("", 4)]]).await;
        let mut seen = seen.unwrap();
        let of_a: Vec<u32> =
            seen.iter().map(|(_, item)| *item).filter(|item| [0, 1, 3].contains(item)).collect();
        assert_eq!(of_a, [0, 1, 3], "a host's items in the order of the lists");
        seen.sort_unstable();
        assert_eq!(seen, [(0, 0), (0, 1), (0, 2), (1, 3), (1, 4)]);
    }

    #[tokio::test]
    async fn a_panic_ends_it() {
        assert!(asked([vec![("panics", 0)], vec![]]).await.unwrap_err().is_panic());
    }
}
