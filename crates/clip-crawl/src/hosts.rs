//! Politeness per host: so many requests at a time, so long between two, and an end to trying.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All hosts that were asked.
pub(crate) struct Hosts {
    per_host: usize,
    delay: Duration,
    faults: u32,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

pub(crate) struct Host {
    slots: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: Option<Instant>,
    faults: u32,
}

impl Hosts {
    pub fn new(per_host: usize, delay: Duration, faults: u32) -> Self {
        Self { per_host: per_host.max(1), delay, faults: faults.max(1), hosts: Mutex::default() }
    }

    pub fn get(&self, name: &str) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let slots = Arc::new(Semaphore::new(self.per_host));
            Arc::new(Host { slots, state: Mutex::default() })
        };
        hosts.entry(name.to_owned()).or_insert_with(new).clone()
    }

    /// Waits for a slot and for the host's next moment; nothing when the host was given up.
    pub async fn enter(&self, host: &Host) -> Option<OwnedSemaphorePermit> {
        let permit = host.slots.clone().acquire_owned().await.ok()?;
        let wait = {
            let mut state = host.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.faults >= self.faults {
                return None;
            }
            let now = Instant::now();
            let at = state.next.map_or(now, |next| next.max(now));
            state.next = Some(at + self.delay);
            at - now
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Some(permit)
    }

    /// Tells how a request to the host went, and how long it asked to be left alone.
    pub fn outcome(&self, host: &Host, failed: bool, pause: Option<Duration>) {
        let mut state = host.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.faults = if failed { state.faults + 1 } else { 0 };
        if let Some(pause) = pause {
            let until = Instant::now() + pause;
            state.next = Some(state.next.map_or(until, |next| next.max(until)));
        }
    }
}
