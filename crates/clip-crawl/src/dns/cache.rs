//! Names that were looked up, each once for all who ask at the same time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Either, Shared};

use super::message::ADDRESSES;

/// Bytes that all names together may take.
const MOST: usize = 64 << 20;
/// What a name takes beside its text, at most: its addresses, its task, its place.
const ENTRY: usize = 512 + ADDRESSES * size_of::<IpAddr>();

/// Why a name has no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// There is none.
    NoAddress,
    /// No server answered.
    NoAnswer,
}

/// What came of looking up a name.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub addresses: Result<Vec<IpAddr>, Missing>,
    /// When it must be looked up again.
    pub until: Instant,
}

impl Found {
    /// Kept for so long from now on.
    pub fn new(addresses: Result<Vec<IpAddr>, Missing>, kept: Duration) -> Self {
        Self { addresses, until: Instant::now() + kept }
    }
}

/// The cache. Each name is charged with the most that it can take, so that the bound holds whatever
/// the answers are.
pub(super) struct Cache {
    most: usize,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    names: HashMap<Box<str>, Entry>,
    bytes: usize,
}

enum Entry {
    InFlight(Shared<BoxFuture<'static, Arc<Found>>>),
    /// Without what its lookup needed: a crawl has many names.
    Found(Arc<Found>),
}

impl Default for Cache {
    fn default() -> Self {
        Self { most: MOST, known: Arc::default() }
    }
}

fn cost(name: &str) -> usize {
    name.len() + ENTRY
}

fn locked(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cache {
    /// What is known of a name, or what `look_up` will have found. A lookup runs to its end
    /// whether its caller still waits or not, so that a name that takes longer to fail than
    /// requests wait for it is known to fail.
    ///
    /// Must be called within a runtime.
    pub fn get<L, F>(&self, name: &str, look_up: L) -> impl Future<Output = Arc<Found>> + use<L, F>
    where
        L: FnOnce() -> F,
        F: Future<Output = Found> + Send + 'static,
    {
        let mut known = locked(&self.known);
        let now = Instant::now();
        match known.names.get(name) {
            Some(Entry::Found(found)) if found.until > now => {
                return Either::Left(std::future::ready(found.clone()));
            }
            Some(Entry::InFlight(lookup)) => return Either::Right(lookup.clone()),
            _ => {}
        }
        if known.bytes + cost(name) > self.most {
            known.shrink(self.most / 4 * 3, now);
        }
        let lookup = tokio::spawn(kept(self.known.clone(), name.into(), look_up()));
        let lookup = async move {
            let gone = |_| Arc::new(Found::new(Err(Missing::NoAnswer), Duration::ZERO));
            lookup.await.unwrap_or_else(gone)
        };
        let lookup = lookup.boxed().shared();
        let entry = Entry::InFlight(lookup.clone());
        if known.names.insert(name.into(), entry).is_none() {
            known.bytes += cost(name);
        }
        Either::Right(lookup)
    }
}

/// Looks a name up and keeps what was found. Where that panics, nothing is known of the name.
async fn kept(
    known: Arc<Mutex<Known>>,
    name: Box<str>,
    look_up: impl Future<Output = Found> + Send,
) -> Arc<Found> {
    let result = AssertUnwindSafe(look_up).catch_unwind().await;
    let mut known = locked(&known);
    match result {
        Ok(found) => {
            let found = Arc::new(found);
            if let Some(entry) = known.names.get_mut(&name) {
                *entry = Entry::Found(found.clone());
            }
            found
        }
        Err(panic) => {
            known.forget(&name);
            drop(known);
            std::panic::resume_unwind(panic)
        }
    }
}

impl Known {
    fn forget(&mut self, name: &str) {
        if self.names.remove(name).is_some() {
            self.bytes -= cost(name);
        }
    }

    /// Drops names that must be looked up again, then those that soon must, until all take at most
    /// `most` bytes. Lookups in flight stay.
    fn shrink(&mut self, most: usize, now: Instant) {
        let found = self.names.iter().filter_map(|(name, entry)| match entry {
            Entry::Found(found) => Some((found.until, name.clone())),
            Entry::InFlight(_) => None,
        });
        let mut ends: Vec<(Instant, Box<str>)> = found.collect();
        ends.sort_unstable();
        for (until, name) in ends {
            if until > now && self.bytes <= most {
                break;
            }
            self.forget(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    async fn ask(cache: &Cache, name: &str, count: &Arc<AtomicUsize>, kept: Duration) {
        let count = count.clone();
        let lookup = cache.get(name, || async move {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Found::new(Ok(vec![[127, 0, 0, 1].into()]), kept)
        });
        assert_eq!(lookup.await.addresses.as_ref().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_for_all_and_again_when_its_time_is_over() {
        let (cache, count) = (Cache::default(), Arc::new(AtomicUsize::new(0)));
        let day = Duration::from_hours(24);
        let all = (0..50).map(|_| ask(&cache, "a.com", &count, day));
        futures::future::join_all(all).await;
        ask(&cache, "a.com", &count, day).await;
        assert_eq!(count.load(Ordering::SeqCst), 1);
        for asked in 1..4 {
            ask(&cache, "short.com", &count, Duration::ZERO).await;
            assert_eq!(count.load(Ordering::SeqCst), 1 + asked);
        }
    }

    #[tokio::test]
    async fn a_lookup_that_nobody_waits_for_runs_to_its_end() {
        let cache = Cache::default();
        let (send, receive) = tokio::sync::oneshot::channel();
        drop(cache.get("a.com", || async move {
            let _ = send.send(());
            Found::new(Err(Missing::NoAnswer), Duration::from_secs(60))
        }));
        receive.await.unwrap();
        let again = cache.get("a.com", || async { unreachable!("it is known") });
        assert_eq!(again.await.addresses, Err(Missing::NoAnswer));
    }

    #[tokio::test]
    async fn names_take_no_more_than_their_bytes_and_those_that_last_stay() {
        let cache = Cache { most: 100 * cost("00000.com"), known: Arc::default() };
        let count = Arc::new(AtomicUsize::new(0));
        ask(&cache, "last.com", &count, Duration::from_hours(24)).await;
        for name in 0..1000 {
            ask(&cache, &format!("{name:05}.com"), &count, Duration::from_secs(60)).await;
            let known = cache.known.lock().unwrap();
            let bytes: usize = known.names.keys().map(|name| cost(name)).sum();
            assert_eq!(known.bytes, bytes);
            assert!(bytes <= cache.most);
        }
        assert!(cache.known.lock().unwrap().names.contains_key("last.com"));
    }

    #[tokio::test]
    async fn names_that_no_caller_waited_for_take_no_more_either() {
        let cache = Cache { most: 100 * cost("00000.com"), known: Arc::default() };
        for name in 0..1000 {
            // As a request does that gives up before its name is known.
            drop(cache.get(&format!("{name:05}.com"), || async {
                Found::new(Err(Missing::NoAnswer), Duration::from_secs(30))
            }));
            tokio::task::yield_now().await;
        }
        let known = cache.known.lock().unwrap();
        assert!(known.names.len() <= 100, "{}", known.names.len());
        assert!(known.names.values().all(|entry| matches!(entry, Entry::Found(_))));
    }

    #[tokio::test]
    async fn a_lookup_that_panics_is_forgotten() {
        let cache = Cache::default();
        let look_up = || async {
            tokio::task::yield_now().await;
            panic!("as asked for")
        };
        assert_eq!(cache.get("a.com", look_up).await.addresses, Err(Missing::NoAnswer));
        let known = locked(&cache.known);
        assert_eq!((known.names.len(), known.bytes), (0, 0));
    }
}
