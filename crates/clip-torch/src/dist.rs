//! Processes that train together: libtorch's c10d and its DDP engine.
#![allow(unsafe_code, reason = "calls the shim")]

use std::ffi::{CString, c_int, c_void};
use std::time::Duration;

use tch::{Kind, Tensor};

use crate::{Error, Result, ffi};

/// Where and as whom a process joins a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendezvous {
    /// Host of the store. Its server listens there where this is an address of its machine, else
    /// on all interfaces.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// This process, from 0.
    pub rank: usize,
    /// All processes.
    pub world: usize,
    /// Whether this process hosts the store.
    pub serve: bool,
    /// What keys start with, so that attempts do not meet each other's.
    pub prefix: String,
    /// Gloo's network interface, `@` and an address, or empty for the host's own.
    pub interface: String,
    /// The library with NCCL's backend, for groups of GPUs.
    pub nccl: Option<String>,
    /// How long a call waits for the others.
    pub timeout: Duration,
}

fn text(value: &str) -> Result<CString> {
    CString::new(value).map_err(|_| Error::Libtorch(format!("{value:?} has a zero byte")))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// A store in this process, for others to meet at.
pub struct Store {
    raw: *mut c_void,
    port: u16,
}

impl Store {
    /// Opens it on a free port of loopback.
    pub fn serve(timeout: Duration) -> Result<Self> {
        let mut port: c_int = 0;
        // SAFETY: `port` outlives the call.
        let raw = unsafe { ffi::ct_store_serve(&raw mut port, millis(timeout)) };
        if raw.is_null() { Err(ffi::last_error()) } else { Ok(Self { raw, port: port as u16 }) }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: made by ct_store_serve and freed once.
        unsafe { ffi::ct_store_free(self.raw) };
    }
}

/// A group of processes; every call is made by all of them in the same order.
pub struct Group {
    raw: *mut c_void,
    rank: usize,
    world: usize,
}

// SAFETY: c10d's process groups and stores are made to be called from several threads; what is
// called from another thread here is the store, which has a lock of its own.
unsafe impl Send for Group {}
// SAFETY: as above.
unsafe impl Sync for Group {}

impl Group {
    /// Joins, waiting for all others to come.
    pub fn join(meeting: &Rendezvous) -> Result<Self> {
        let nccl = text(meeting.nccl.as_deref().unwrap_or(""))?;
        let (host, prefix) = (text(&meeting.host)?, text(&meeting.prefix)?);
        let interface = text(&meeting.interface)?;
        // SAFETY: four strings that outlive the call.
        let raw = unsafe {
            ffi::ct_group_join(
                host.as_ptr(),
                c_int::from(meeting.port),
                meeting.rank as c_int,
                meeting.world as c_int,
                c_int::from(meeting.serve),
                prefix.as_ptr(),
                interface.as_ptr(),
                nccl.as_ptr(),
                millis(meeting.timeout),
            )
        };
        if raw.is_null() {
            return Err(ffi::last_error());
        }
        Ok(Self { raw, rank: meeting.rank, world: meeting.world })
    }

    /// This process, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// All processes.
    pub fn world(&self) -> usize {
        self.world
    }

    /// Sums over all ranks, in place.
    pub fn all_reduce(&self, tensor: &Tensor) -> Result<()> {
        // SAFETY: a live group and a live tensor; so below.
        ffi::checked(unsafe { ffi::ct_all_reduce(self.raw, ffi::pointer(tensor)) })
    }

    /// All ranks' rows [n, …] in rank order, [world * n, …]; `n` must be the same everywhere.
    pub fn all_gather(&self, tensor: &Tensor) -> Result<Tensor> {
        let mut size = tensor.size();
        size[0] *= self.world as i64;
        let out = Tensor::empty(size, (tensor.kind(), tensor.device()));
        let (to, from) = (ffi::pointer(&out), ffi::pointer(tensor));
        // SAFETY: as above.
        ffi::checked(unsafe { ffi::ct_all_gather(self.raw, to, from) })?;
        Ok(out)
    }

    /// This rank's rows [n, …] of the sum of all ranks' [world * n, …].
    pub fn reduce_scatter(&self, tensor: &Tensor) -> Result<Tensor> {
        let mut size = tensor.size();
        size[0] /= self.world as i64;
        let out = Tensor::empty(size, (tensor.kind(), tensor.device()));
        let (to, from) = (ffi::pointer(&out), ffi::pointer(tensor));
        // SAFETY: as above.
        ffi::checked(unsafe { ffi::ct_reduce_scatter(self.raw, to, from) })?;
        Ok(out)
    }

    /// Rank `root`'s values for all, in place.
    pub fn broadcast(&self, tensor: &Tensor, root: usize) -> Result<()> {
        let (tensor, root) = (ffi::pointer(tensor), root as c_int);
        // SAFETY: as above.
        ffi::checked(unsafe { ffi::ct_broadcast(self.raw, tensor, root) })
    }

    /// Sums a few numbers over all ranks.
    pub fn sum(&self, values: &[f64], device: tch::Device) -> Result<Vec<f64>> {
        let tensor = Tensor::from_slice(values).to_kind(Kind::Double).to_device(device);
        self.all_reduce(&tensor)?;
        Ok(Vec::try_from(tensor.to_device(tch::Device::Cpu))?)
    }

    /// Leaves a value in the store, for all to see.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        let (key, value) = (text(key)?, text(value)?);
        // SAFETY: a live group and two strings that outlive the call.
        ffi::checked(unsafe { ffi::ct_store_set(self.raw, key.as_ptr(), value.as_ptr()) })
    }

    /// A value of the store, without waiting for it.
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        let (key, mut buffer) = (text(key)?, vec![0u8; 4096]);
        let (space, size) = (buffer.as_mut_ptr(), buffer.len() as c_int);
        // SAFETY: `size` bytes at `space` that outlive the call.
        let length = unsafe { ffi::ct_store_get(self.raw, key.as_ptr(), space, size) };
        match usize::try_from(length) {
            Ok(length) => {
                buffer.truncate(length);
                Ok(Some(String::from_utf8_lossy(&buffer).into_owned()))
            }
            Err(_) if length == -2 => Ok(None),
            Err(_) => Err(ffi::last_error()),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: made by ct_group_join and freed once.
        unsafe { ffi::ct_group_free(self.raw) };
    }
}

/// PyTorch's DDP engine (Li et al. 2020): averages gradients in buckets while the backward pass
/// runs.
pub struct Reducer {
    raw: *mut c_void,
}

impl Reducer {
    /// For parameters that are the same, in the same order, on every rank; each must get a gradient
    /// in every averaged backward pass.
    pub fn new(group: &Group, params: &[Tensor]) -> Result<Self> {
        let all = ffi::pointers(params);
        // SAFETY: a live group and a list of live tensors.
        let raw = unsafe { ffi::ct_reducer_new(group.raw, all.as_ptr(), all.len() as c_int) };
        if raw.is_null() { Err(ffi::last_error()) } else { Ok(Self { raw }) }
    }

    /// To be called before the forward passes of a step.
    pub fn prepare_for_forward(&self) -> Result<()> {
        // SAFETY: a live reducer; so below.
        ffi::checked(unsafe { ffi::ct_reducer_begin(self.raw) })
    }

    /// To be called before the step's last backward pass: that one averages what all have
    /// accumulated.
    pub fn prepare_for_backward(&self) -> Result<()> {
        // SAFETY: as above.
        ffi::checked(unsafe { ffi::ct_reducer_expect(self.raw) })
    }
}

impl Drop for Reducer {
    fn drop(&mut self) {
        // SAFETY: made by ct_reducer_new and freed once.
        unsafe { ffi::ct_reducer_free(self.raw) };
    }
}
