//! The processes that train together, and what becomes of them when one dies.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clip_torch::tch::{Device, Tensor, no_grad};
use clip_torch::{Group, Rendezvous};

use crate::{Error, RankInfo, Result};

/// Time between two signs of life.
const PULSE: Duration = Duration::from_millis(500);

/// This process and those that it trains with.
pub struct ProcessGroup {
    group: Option<Arc<Group>>,
    place: Option<RankInfo>,
    device: Device,
    stop: Arc<AtomicBool>,
    heartbeat: Option<JoinHandle<()>>,
    talked: Cell<Duration>,
}

impl ProcessGroup {
    /// One process.
    pub fn alone() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        Self {
            group: None,
            place: None,
            device: Device::Cpu,
            stop,
            heartbeat: None,
            talked: Cell::default(),
        }
    }

    /// Joins the group, waiting at most `timeout` for the others; every later call waits as long.
    pub fn join(
        place: RankInfo,
        device: Device,
        timeout: Duration,
        nccl: Option<String>,
    ) -> Result<Self> {
        let local = place.host == "localhost"
            || place.host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        let interface = std::env::var("GLOO_SOCKET_IFNAME").ok();
        let interface =
            interface.unwrap_or_else(|| if local { "@127.0.0.1".into() } else { String::new() });
        let meeting = Rendezvous {
            host: place.host.clone(),
            port: place.port,
            rank: place.rank,
            world: place.world,
            serve: place.rank == 0 && !place.agent_store,
            prefix: format!("/clip-data/attempt_{}", place.attempt),
            interface,
            nccl: if device.is_cuda() { nccl } else { None },
            timeout,
        };
        let group = Group::join(&meeting).map_err(|e| {
            Error::Peer(format!(
                "rank {} of {} could not join the others at {}:{}: {e}\n\
                 hint: all ranks must start within {} s and reach that address",
                place.rank,
                place.world,
                place.host,
                place.port,
                timeout.as_secs()
            ))
        })?;
        let group = Arc::new(group);
        let stop = Arc::new(AtomicBool::new(false));
        let heartbeat = send_heartbeats(&group, &stop);
        let talked = Cell::default();
        Ok(Self {
            group: Some(group),
            place: Some(place),
            device,
            stop,
            heartbeat: Some(heartbeat),
            talked,
        })
    }

    /// The group, unless this process is alone.
    pub fn group(&self) -> Option<&Group> {
        self.group.as_deref()
    }

    /// This process, from 0.
    pub fn rank(&self) -> usize {
        self.group.as_ref().map_or(0, |group| group.rank())
    }

    /// All processes.
    pub fn size(&self) -> usize {
        self.group.as_ref().map_or(1, |group| group.world())
    }

    /// Where tensors must be to go to others.
    pub(crate) fn device(&self) -> Device {
        self.device
    }

    /// Whether this process writes files and speaks.
    pub fn is_main(&self) -> bool {
        self.rank() == 0
    }

    /// This process among those on its machine.
    pub fn local_rank(&self) -> usize {
        self.place.as_ref().map_or(0, |place| place.local_rank)
    }

    /// All ranks' rows, in rank order.
    pub fn all_gather(&self, rows: &Tensor) -> Result<Tensor> {
        let Some(group) = &self.group else { return Ok(rows.copy()) };
        self.timed(|| group.all_gather(rows))
    }

    /// This rank's rows of the sum of all ranks' rows.
    pub fn reduce_scatter(&self, rows: &Tensor) -> Result<Tensor> {
        let Some(group) = &self.group else { return Ok(rows.shallow_clone()) };
        self.timed(|| group.reduce_scatter(rows))
    }

    /// Sums numbers over all ranks.
    pub fn all_reduce_sum(&self, values: &[f64]) -> Result<Vec<f64>> {
        let Some(group) = &self.group else { return Ok(values.to_vec()) };
        self.timed(|| group.sum(values, self.device))
    }

    /// Whether any rank says so: the same answer on all.
    pub fn any(&self, mine: bool) -> Result<bool> {
        let Some(group) = &self.group else { return Ok(mine) };
        // On the processor, so that no work on a GPU is waited for.
        let ranks = self.timed(|| group.sum(&[f64::from(u8::from(mine))], Device::Cpu))?;
        Ok(ranks[0] > 0.0)
    }

    /// Whether this rank was asked to stop at once, or is known, without waiting, to be left by one
    /// that was. All must agree by [`ProcessGroup::any`] before they stop.
    pub fn asked(&self, mine: bool) -> bool {
        let Some(group) = &self.group else { return mine };
        if mine {
            // A store that is gone is seen by the next collective call; so below.
            let _ = group.set("stop", "asked");
        }
        mine || matches!(group.get("stop"), Ok(Some(_)))
    }

    /// Gives all ranks rank 0's values.
    pub fn broadcast(&self, tensors: &[Tensor]) -> Result<()> {
        let Some(group) = &self.group else { return Ok(()) };
        for tensor in tensors {
            self.timed(|| no_grad(|| group.broadcast(&tensor.detach(), 0)))?;
        }
        Ok(())
    }

    /// Rows of different numbers on each rank, in rank order: [n, width].
    pub fn all_gather_v(&self, rows: &Tensor) -> Result<Tensor> {
        if self.group.is_none() {
            return Ok(rows.shallow_clone());
        }
        let mut counts = vec![0.0; self.size()];
        counts[self.rank()] = rows.size()[0] as f64;
        let counts = self.all_reduce_sum(&counts)?;
        let most = counts.iter().copied().fold(0.0, f64::max) as i64;
        let mut shape = rows.size();
        shape[0] = most - rows.size()[0];
        let filled = Tensor::cat(
            &[rows.shallow_clone(), Tensor::zeros(shape, (rows.kind(), rows.device()))],
            0,
        );
        let all = self.all_gather(&filled)?;
        let cut = counts.iter().enumerate().map(|(r, &n)| all.narrow(0, r as i64 * most, n as i64));
        Ok(Tensor::cat(&cut.collect::<Vec<_>>(), 0))
    }

    fn timed<T>(&self, call: impl FnOnce() -> clip_torch::Result<T>) -> Result<T> {
        let started = Instant::now();
        let result = call().map_err(|e| self.diagnose_peer_failure(e));
        self.talked.set(self.talked.get() + started.elapsed());
        result
    }

    /// Starts counting the time of calls to others anew.
    pub(crate) fn reset_clock(&self) {
        self.talked.set(Duration::ZERO);
    }

    /// Seconds of calls to others since then.
    pub(crate) fn clock(&self) -> f64 {
        self.talked.get().as_secs_f64()
    }

    /// Turns a failure of the group into one that names who is gone. Memory that is not there is
    /// this process's own failure.
    pub(crate) fn diagnose_peer_failure(&self, error: clip_torch::Error) -> Error {
        let Some(group) = self.group.as_ref().filter(|_| !error.is_memory()) else {
            return error.into();
        };
        let named = suspects(group);
        if let Ok(names) = &named {
            // Those who ask later find the answer, not the silence of those who left because of it.
            let _ = group.set("failed peers", names);
            if self.rank() == 0 {
                // This rank may host the store that the others ask.
                std::thread::sleep(4 * PULSE);
            }
        }
        let names = named.unwrap_or_else(|_| "rank 0, which hosted the store,".into());
        Error::Peer(format!(
            "{names} died or does not answer; rank {} of {} stops ({error})\n\
             hint: run the same command again to resume from the last checkpoint",
            self.rank(),
            self.size()
        ))
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(heartbeat) = self.heartbeat.take() {
            // It panics only with the process.
            let _ = heartbeat.join();
        }
    }
}

/// A thread that counts up in the store for as long as this process lives.
fn send_heartbeats(group: &Arc<Group>, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (group, stop) = (Arc::clone(group), Arc::clone(stop));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = format!("rank {} (process {} on {})", group.rank(), std::process::id(), host.trim());
    std::thread::spawn(move || {
        let _ = group.set(&format!("who/{}", group.rank()), &name);
        let key = format!("heartbeat/{}", group.rank());
        for count in 0u64.. {
            // A store that is gone is seen by the next collective call.
            if stop.load(Ordering::Relaxed) || group.set(&key, &count.to_string()).is_err() {
                return;
            }
            std::thread::sleep(PULSE);
        }
    })
}

/// Names of the ranks that have stopped counting.
fn suspects(group: &Group) -> clip_torch::Result<String> {
    let heartbeats = || -> clip_torch::Result<Vec<Option<String>>> {
        (0..group.world()).map(|rank| group.get(&format!("heartbeat/{rank}"))).collect()
    };
    let before = heartbeats()?;
    for _ in 0..4 {
        if let Some(names) = group.get("failed peers")? {
            return Ok(names);
        }
        std::thread::sleep(PULSE);
    }
    let after = heartbeats()?;
    let mut names = Vec::new();
    for rank in (0..group.world()).filter(|&rank| before[rank] == after[rank]) {
        names.push(group.get(&format!("who/{rank}"))?.unwrap_or_else(|| format!("rank {rank}")));
    }
    Ok(if names.is_empty() { "no rank is silent, yet one".into() } else { names.join(", ") })
}
