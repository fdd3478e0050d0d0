//! Work in the order of a list, except that it does not wait for a busy host.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, Interval};
use url::Url;

/// Items in flight at a time, of all hosts: one that waits for its host's turn costs little.
pub(crate) const IN_FLIGHT: usize = 4096;

/// Items queued by host.
///
/// The next item is the earliest of all whose host has room: a host with many rows keeps no row of
/// another host waiting, and catches up as soon as it has room, because its rows are the earliest.
/// The first item of a host goes alone, so that a host that does not answer, or whose robots.txt
/// comes late, costs one request in flight and not all of its own.
pub(crate) struct HostQueue<T> {
    per_host: usize,
    /// Items pushed so far: the position of the next in the list.
    pushed: u64,
    waiting: usize,
    by_name: HashMap<String, usize>,
    lanes: Vec<Lane<T>>,
    /// Lanes of hosts that have nothing left, to be used again.
    unused: Vec<usize>,
    /// Lanes with room and an item, by the position of that item.
    ready: BinaryHeap<Reverse<(u64, usize)>>,
    end: UnboundedSender<usize>,
    /// Lanes of requests that ended.
    ended: UnboundedReceiver<usize>,
}

struct Lane<T> {
    host: String,
    items: VecDeque<(u64, T)>,
    requests: usize,
    /// Whether one of its requests has ended.
    answered: bool,
    /// Whether it is among `ready`.
    ready: bool,
}

/// A request to a host. Dropped when the request has ended, however it ended, it makes room for the
/// host's next.
pub(crate) struct HostTurn {
    lane: usize,
    end: UnboundedSender<usize>,
}

impl Drop for HostTurn {
    fn drop(&mut self) {
        // Without a queue there is no next.
        let _ = self.end.send(self.lane);
    }
}

/// The host of a URL, as politeness counts it; empty where there is none.
pub(crate) fn host_of(url: &str) -> String {
    let parsed = Url::parse(url.trim()).ok();
    parsed.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

impl<T> HostQueue<T> {
    /// With up to `per_host` requests to a host in flight; items without a host have no limit.
    pub fn new(per_host: usize) -> Self {
        let (end, ended) = unbounded_channel();
        Self {
            per_host: per_host.max(1),
            pushed: 0,
            waiting: 0,
            by_name: HashMap::new(),
            lanes: Vec::new(),
            unused: Vec::new(),
            ready: BinaryHeap::new(),
            end,
            ended,
        }
    }

    /// Adds the next item of the list. The host is empty where there is none.
    pub fn push(&mut self, host: String, item: T) {
        let at = match self.by_name.get(&host) {
            Some(at) => *at,
            None => self.new_lane(host),
        };
        self.lanes[at].items.push_back((self.pushed, item));
        self.pushed += 1;
        self.waiting += 1;
        self.make_ready(at);
    }

    fn new_lane(&mut self, host: String) -> usize {
        // Most hosts have one item.
        let (items, name) = (VecDeque::with_capacity(1), host.clone());
        let lane = Lane { host, items, requests: 0, answered: false, ready: false };
        let at = match self.unused.pop() {
            Some(at) => {
                self.lanes[at] = lane;
                at
            }
            None => {
                self.lanes.push(lane);
                self.lanes.len() - 1
            }
        };
        self.by_name.insert(name, at);
        at
    }

    /// The earliest item whose host has room.
    pub fn pop(&mut self) -> Option<(HostTurn, T)> {
        let Reverse((_, at)) = self.ready.pop()?;
        let lane = &mut self.lanes[at];
        lane.ready = false;
        let (_, item) = lane.items.pop_front()?;
        lane.requests += 1;
        self.waiting -= 1;
        self.make_ready(at);
        Some((HostTurn { lane: at, end: self.end.clone() }, item))
    }

    /// Waits until a request has ended, which makes room for the next of its host.
    pub async fn request_ended(&mut self) {
        if let Some(at) = self.ended.recv().await {
            self.make_room(at);
        }
        self.settle();
    }

    /// The same for all requests that have ended by now.
    fn settle(&mut self) {
        while let Ok(at) = self.ended.try_recv() {
            self.make_room(at);
        }
    }

    fn make_room(&mut self, at: usize) {
        let lane = &mut self.lanes[at];
        lane.requests -= 1;
        lane.answered = true;
        if lane.requests == 0 && lane.items.is_empty() {
            self.by_name.remove(&std::mem::take(&mut lane.host));
            lane.items = VecDeque::new();
            self.unused.push(at);
        } else {
            self.make_ready(at);
        }
    }

    fn make_ready(&mut self, at: usize) {
        let lane = &mut self.lanes[at];
        let room = match (lane.host.is_empty(), lane.answered) {
            (true, _) => usize::MAX,
            // One more than it may ask waits here, so that a slot is never empty.
            (_, true) => self.per_host + 1,
            (_, false) => 1,
        };
        if lane.ready || lane.requests >= room {
            return;
        }
        if let Some((position, _)) = lane.items.front() {
            lane.ready = true;
            self.ready.push(Reverse((*position, at)));
        }
    }

    /// Items that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The host that most items wait for, with their number.
    pub fn longest(&self) -> Option<(&str, usize)> {
        let named = self.lanes.iter().filter(|lane| !lane.host.is_empty());
        let longest = named.max_by_key(|lane| lane.items.len())?;
        (!longest.items.is_empty()).then_some((longest.host.as_str(), longest.items.len()))
    }
}

/// Looks out for a host that limits a run.
#[derive(Default)]
pub(crate) struct Limiting {
    named: Vec<String>,
}

impl Limiting {
    /// Time between two looks.
    const EVERY: Duration = Duration::from_secs(5);
    /// Hosts that are named at most.
    const HOSTS: usize = 5;
    /// Items of a host that are worth a line.
    const LEAST: usize = 50;

    /// When to look.
    pub fn looks() -> Interval {
        tokio::time::interval_at(Instant::now() + Self::EVERY, Self::EVERY)
    }

    /// A line about a host that most of what waits is for, while there is room for `in_flight` more
    /// of others; each host once.
    pub fn line<T>(&mut self, queue: &HostQueue<T>, in_flight: usize) -> Option<String> {
        let waiting = queue.waiting();
        if self.named.len() == Self::HOSTS || in_flight >= IN_FLIGHT || waiting < Self::LEAST {
            return None;
        }
        let (host, items) = queue.longest()?;
        if items < Self::LEAST || 2 * items < waiting || self.named.iter().any(|name| name == host)
        {
            return None;
        }
        self.named.push(host.to_owned());
        Some(format!(
            "{host} limits the run: {items} of the {waiting} URLs that wait are its \
             (`per_host`, `max_host_rate` and its own answers bound how often it is asked)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn popped(queue: &mut HostQueue<u32>) -> (Vec<HostTurn>, Vec<u32>) {
        std::iter::from_fn(|| queue.pop()).unzip()
    }

    #[test]
    fn a_busy_host_is_overtaken_and_catches_up_in_order() {
        let mut queue = HostQueue::new(2);
        for item in 0..10 {
            queue.push(if item < 7 { "big".into() } else { format!("small{item}") }, item);
        }
        // The first of each host alone.
        let (first, item) = queue.pop().unwrap();
        assert_eq!(item, 0);
        assert_eq!(popped(&mut queue).1, [7, 8, 9]);
        assert_eq!((queue.waiting(), queue.longest()), (6, Some(("big", 6))));
        drop(first);
        queue.settle();
        // Two in flight, and one that waits for a slot.
        let (mut turns, items) = popped(&mut queue);
        assert_eq!(items, [1, 2, 3]);
        queue.push("late".into(), 10);
        turns.pop();
        queue.settle();
        assert_eq!(popped(&mut queue).1, [4, 10], "the earliest row first");
    }

    #[test]
    fn hosts_that_are_done_are_forgotten_and_rows_without_a_host_wait_for_none() {
        let mut queue = HostQueue::new(1);
        for item in 0..5 {
            queue.push(String::new(), item);
        }
        let (_turns, items) = popped(&mut queue);
        assert_eq!(items, [0, 1, 2, 3, 4]);
        for round in 0..1000 {
            queue.push(format!("host{round}"), round);
            let (turn, item) = queue.pop().unwrap();
            assert_eq!(item, round);
            drop(turn);
            queue.settle();
        }
        assert_eq!((queue.lanes.len(), queue.by_name.len(), queue.longest()), (2, 1, None));
        let held: usize = queue.lanes[1..].iter().map(|lane| lane.items.capacity()).sum();
        assert_eq!(held, 0, "items that a host that is done could still have");
    }

    #[test]
    fn a_hundred_thousand_hosts_lose_no_item() {
        let mut queue = HostQueue::new(4);
        let hosts = 100_000;
        (0..3 * hosts).for_each(|item| queue.push(format!("h{}", item % hosts), item));
        let (mut seen, mut open) = (vec![false; 3 * hosts], VecDeque::new());
        loop {
            while open.len() < 4096
                && let Some((turn, item)) = queue.pop()
            {
                assert!(!std::mem::replace(&mut seen[item], true));
                open.push_back(turn);
            }
            if open.pop_front().is_none() {
                break;
            }
            queue.settle();
        }
        assert!(seen.iter().all(|seen| *seen) && queue.by_name.is_empty());
    }

    #[test]
    fn a_host_that_limits_the_run_is_named_once() {
        let mut queue = HostQueue::new(2);
        let mut limiting = Limiting::default();
        (0..100).for_each(|item| queue.push(format!("h{item}"), item));
        assert_eq!(limiting.line(&queue, 0), None, "no host has most of them");
        (0..200).for_each(|item| queue.push("big.example".into(), item));
        assert_eq!(limiting.line(&queue, IN_FLIGHT), None, "the machine is busy");
        let line = limiting.line(&queue, 10).unwrap();
        assert!(line.starts_with("big.example limits the run: 200 of the 300 URLs"), "{line}");
        assert_eq!(limiting.line(&queue, 10), None);
    }

    #[test]
    fn hosts_are_those_of_politeness() {
        assert_eq!(host_of(" HTTP://Example.COM:8080/a "), "example.com");
        assert_eq!(host_of("no address"), "");
    }
}
