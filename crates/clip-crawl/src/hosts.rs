//! Politeness per host: how many requests at a time, how long between two, and an end to trying.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::lease::{Lease, Leases};
use crate::rate::Rate;

/// How long a host that failed too often is left alone; one request then finds out whether it is
/// back.
const CLOSED: Duration = Duration::from_mins(10);
/// Hosts that are remembered before those that may be asked at once, and are not, are forgotten.
const HOSTS: usize = 50_000;
/// First pause after a 429 that names none; each further one doubles it.
const BUSY: Duration = Duration::from_millis(500);

/// What every host may be asked of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Requests in flight at a time.
    pub per_host: usize,
    /// Time between the starts of two: at first, and at least.
    pub delays: [Duration; 2],
    /// Faults in a row that close a host.
    pub faults: u32,
    /// Longest pause that is waited for; a host that asks for more is closed that long.
    pub max_pause: Duration,
}

/// All hosts that were asked.
pub(crate) struct Hosts {
    limits: Limits,
    known: Mutex<HashMap<String, Arc<Host>>>,
    /// What keeps other processes from a host that this one asks, where there are others.
    leases: OnceLock<Arc<Leases>>,
}

pub(crate) struct Host {
    name: String,
    state: Mutex<State>,
    /// Wakes those who wait for a slot.
    freed: Notify,
}

struct State {
    rate: Rate,
    in_flight: usize,
    next: Option<Instant>,
    /// Until when it is left alone, also by those who were given a moment before that.
    rests_until: Option<Instant>,
    /// What its robots.txt asks for.
    delay: Duration,
    closed_until: Option<Instant>,
    faults: u32,
}

impl State {
    /// Whether forgetting it would have the host asked too early, or again after a fault.
    fn holds(&self, now: Instant) -> bool {
        self.faults > 0 || self.next.max(self.closed_until).is_some_and(|until| until > now)
    }

    /// Leaves the host alone for so long; what is more than `most` is not waited for.
    fn rest(&mut self, pause: Duration, most: Duration) {
        let until = (!pause.is_zero()).then(|| Instant::now() + pause);
        if pause > most {
            self.closed_until = until.max(self.closed_until);
        } else {
            self.next = until.max(self.next);
            self.rests_until = until.max(self.rests_until);
        }
    }

    /// The next moment at which it may be asked; there is none before it.
    fn next_moment(&mut self, now: Instant) -> Instant {
        let at = self.next.map_or(now, |next| next.max(now));
        self.next = Some(at + self.rate.gap().max(self.delay));
        at
    }

    fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| until > now)
    }
}

impl Host {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<(), String> {
        let now = Instant::now();
        match self.state().closed_until {
            Some(until) if until > now => {
                Err(format!("the host is left alone for {} s", (until - now).as_secs() + 1))
            }
            _ => Ok(()),
        }
    }

    /// Waits until fewer requests are in flight than its rate allows of `most`.
    async fn slot(self: &Arc<Self>, most: usize) -> Slot {
        loop {
            let freed = self.freed.notified();
            {
                let mut state = self.state();
                if state.in_flight < state.rate.in_flight(most) {
                    state.in_flight += 1;
                    return Slot(self.clone());
                }
            }
            freed.await;
        }
    }
}

/// One of the requests in flight to a host, until it is dropped.
struct Slot(Arc<Host>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
        self.0.freed.notify_one();
    }
}

/// A request's turn, until it is dropped.
pub(crate) struct HostPermit {
    slot: Slot,
    lease: Option<Lease>,
    sent: Instant,
    /// Whether it had to wait for the host's next moment.
    waited: bool,
}

/// How a request went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    /// Time to the head of the answer, where there was one.
    pub took: Option<Duration>,
    /// Whether it failed in a way that may pass.
    pub failed: bool,
    /// Whether the host said that it is asked too often: 429.
    pub busy: bool,
    /// Whether it cannot keep up: 429, 503, or no answer in time.
    pub overloaded: bool,
    /// How long the host asked to be left alone.
    pub pause: Option<Duration>,
}

impl Hosts {
    pub fn new(limits: Limits) -> Self {
        let (per_host, faults) = (limits.per_host.max(1), limits.faults.max(1));
        Self {
            limits: Limits { per_host, faults, ..limits },
            known: Mutex::default(),
            leases: OnceLock::new(),
        }
    }

    /// From now on, a host belongs to one of the processes that share leases at a time.
    pub fn share(
        &self,
        open: impl FnOnce() -> std::io::Result<Arc<Leases>>,
    ) -> std::io::Result<()> {
        // Every part of a stage says it again.
        if self.leases.get().is_none() {
            let _ = self.leases.set(open()?);
        }
        Ok(())
    }

    pub fn get(&self, name: &str) -> Arc<Host> {
        let mut hosts = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return host.clone();
        }
        if hosts.len() >= HOSTS {
            let now = Instant::now();
            hosts.retain(|_, host| Arc::strong_count(host) > 1 || host.state().holds(now));
            // A web of failing hosts: better ask one again than grow without end.
            if hosts.len() >= HOSTS {
                hosts.retain(|_, host| Arc::strong_count(host) > 1);
            }
        }
        let state = State {
            rate: Rate::new(self.limits.delays),
            in_flight: 0,
            next: None,
            rests_until: None,
            delay: Duration::ZERO,
            closed_until: None,
            faults: 0,
        };
        let host = Host { name: name.to_owned(), state: state.into(), freed: Notify::new() };
        hosts.entry(name.to_owned()).or_insert(Arc::new(host)).clone()
    }

    /// Waits for a slot and for the host's next moment.
    ///
    /// # Errors
    /// In words, when the host is left alone: also for those who were waiting when it was closed.
    pub async fn enter(&self, host: &Arc<Host>) -> Result<HostPermit, String> {
        host.open()?;
        // Before the slot: whoever waits here keeps the host for this process.
        let lease = match self.leases.get() {
            Some(leases) => {
                let (lease, pause) = leases.take(&host.name).await.map_err(|e| e.to_string())?;
                host.state().rest(pause, self.limits.max_pause);
                Some(lease)
            }
            None => None,
        };
        let slot = host.slot(self.limits.per_host).await;
        host.open()?;
        let mut waited = false;
        loop {
            let now = Instant::now();
            let wait = host.state().next_moment(now) - now;
            if !wait.is_zero() {
                waited = true;
                tokio::time::sleep(wait).await;
                host.open()?;
            }
            let now = Instant::now();
            if !host.state().rests(now) {
                return Ok(HostPermit { slot, lease, sent: now, waited });
            }
        }
    }

    /// Puts so much time between two requests to the host, as far as pauses are waited for.
    pub fn slow_down(&self, host: &Host, delay: Duration) {
        host.state().delay = delay.min(self.limits.max_pause);
    }

    /// Notes how a request to a host went.
    pub fn outcome(&self, permit: &HostPermit, outcome: Outcome) {
        let host = &permit.slot.0;
        let mut state = host.state();
        let now = Instant::now();
        if outcome.overloaded {
            state.rate.overloaded(permit.sent, now);
        } else if let Some(took) = outcome.took {
            state.rate.answered(permit.sent, took, permit.waited);
        }
        let backoff = BUSY * (1 << state.faults.min(7));
        let pause = outcome.pause.or(outcome.busy.then(|| backoff.min(self.limits.max_pause)));
        if !outcome.failed {
            state.faults = 0;
        } else if state.faults + 1 >= self.limits.faults {
            // One below the limit: after the rest, a single fault closes it again.
            state.faults = self.limits.faults - 1;
            state.closed_until = Some(now + CLOSED);
        } else {
            state.faults += 1;
        }
        state.rest(pause.unwrap_or_default(), self.limits.max_pause);
        if let Some(lease) = &permit.lease {
            let until = state.next.max(state.closed_until).unwrap_or(now);
            lease.pause(until.saturating_duration_since(now));
        }
        drop(state);
        // The rate may allow one more than what leaves.
        host.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(faults: u32, delay: u64) -> Hosts {
        let (delay, max_pause) = (Duration::from_millis(delay), Duration::from_secs(1));
        Hosts::new(Limits { per_host: 2, delays: [delay; 2], faults, max_pause })
    }

    /// A request with this outcome.
    async fn asked(
        hosts: &Hosts,
        host: &Arc<Host>,
        failed: bool,
        busy: bool,
        pause: Option<Duration>,
    ) {
        let permit = hosts.enter(host).await.unwrap();
        hosts.outcome(&permit, Outcome { failed, busy, pause, ..Outcome::default() });
    }

    #[tokio::test]
    async fn a_host_that_cannot_keep_up_gets_fewer_requests_at_a_time_and_all_get_a_turn() {
        let hosts = Arc::new(hosts(99, 1));
        let host = hosts.get("e.com");
        for _ in 0..3 {
            let permit = hosts.enter(&host).await.unwrap();
            hosts.outcome(&permit, Outcome { overloaded: true, ..Outcome::default() });
        }
        let one = hosts.enter(&host).await.unwrap();
        let all: Vec<_> = (0..20)
            .map(|_| {
                let (hosts, host) = (hosts.clone(), host.clone());
                tokio::spawn(async move {
                    let permit = hosts.enter(&host).await.unwrap();
                    let in_flight = host.state().in_flight;
                    hosts.outcome(&permit, Outcome::default());
                    in_flight
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(host.state().in_flight, 1);
        drop(one);
        for task in all {
            assert_eq!(task.await.unwrap(), 1);
        }
        assert_eq!(host.state().in_flight, 0);
    }

    #[tokio::test]
    async fn a_host_that_only_fails_is_left_alone() {
        let hosts = hosts(3, 0);
        let host = hosts.get("e.com");
        for _ in 0..2 {
            asked(&hosts, &host, true, false, None).await;
        }
        asked(&hosts, &host, false, false, None).await;
        for _ in 0..2 {
            asked(&hosts, &host, true, false, None).await;
        }
        assert!(hosts.enter(&host).await.is_ok());
        asked(&hosts, &host, true, false, None).await;
        assert!(hosts.enter(&host).await.err().unwrap().contains("left alone"));
        assert!(hosts.enter(&hosts.get("other.com")).await.is_ok());
    }

    #[tokio::test]
    async fn pauses_are_kept_and_long_ones_are_not_waited_for() {
        let hosts = hosts(9, 0);
        let host = hosts.get("e.com");
        asked(&hosts, &host, true, false, Some(Duration::from_millis(150))).await;
        let started = Instant::now();
        drop(hosts.enter(&host).await.unwrap());
        assert!(started.elapsed() >= Duration::from_millis(140));
        asked(&hosts, &host, true, false, Some(Duration::from_mins(15))).await;
        assert!(hosts.enter(&host).await.is_err());
    }

    #[tokio::test]
    async fn a_pause_holds_for_those_who_wait_for_their_moment_already() {
        let hosts = Arc::new(hosts(9, 60));
        let host = hosts.get("e.com");
        let first = hosts.enter(&host).await.unwrap();
        let (of_second, to) = (hosts.clone(), host.clone());
        let second = tokio::spawn(async move { of_second.enter(&to).await.map(|p| p.sent) });
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (now, pause) = (Instant::now(), Duration::from_millis(300));
        hosts.outcome(&first, Outcome { pause: Some(pause), ..Outcome::default() });
        assert!(second.await.unwrap().unwrap() >= now + pause);
    }

    #[test]
    fn hosts_that_must_wait_are_not_forgotten_before_others() {
        let hosts = hosts(9, 0);
        let resting = hosts.get("resting.com");
        let pause = Duration::from_millis(900);
        resting.state().rest(pause, pause);
        drop(resting);
        (0..=HOSTS).for_each(|at| drop(hosts.get(&format!("h{at}.com"))));
        assert!(hosts.get("resting.com").state().rests(Instant::now()));
        assert!(hosts.known.lock().unwrap().len() < HOSTS);
    }

    #[tokio::test]
    async fn starts_are_a_delay_apart() {
        let hosts = hosts(9, 40);
        let host = hosts.get("e.com");
        let started = Instant::now();
        for _ in 0..4 {
            drop(hosts.enter(&host).await.unwrap());
        }
        assert!(started.elapsed() >= Duration::from_millis(115));
    }

    #[tokio::test]
    async fn a_busy_host_is_asked_more_slowly_each_time_and_robots_may_ask_for_a_delay() {
        let hosts = hosts(9, 0);
        let host = hosts.get("e.com");
        let started = Instant::now();
        asked(&hosts, &host, true, true, None).await;
        drop(hosts.enter(&host).await.unwrap());
        assert!(started.elapsed() >= Duration::from_millis(490));
        let slow = hosts.get("slow.com");
        hosts.slow_down(&slow, Duration::from_secs(99_999));
        assert_eq!(slow.state().delay, hosts.limits.max_pause);
        hosts.slow_down(&slow, Duration::from_millis(80));
        let started = Instant::now();
        for _ in 0..3 {
            drop(hosts.enter(&slow).await.unwrap());
        }
        assert!(started.elapsed() >= Duration::from_millis(150));
    }
}
