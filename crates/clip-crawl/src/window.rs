//! How far ahead of the first shard, or part of a build, that is not finished a list is read.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::{Array, RecordBatch};

/// About the memory that rows take until they are written: themselves, what they ask for, their
/// outcomes.
pub(crate) fn memory_of(rows: &RecordBatch) -> u64 {
    let columns = rows.columns().iter();
    let bytes: usize =
        columns.map(|c| c.to_data().get_slice_memory_size().unwrap_or_default()).sum();
    (2 * bytes + 1024 * rows.num_rows()) as u64
}

/// Bytes of the rows of shards in flight: some two hundred thousand rows.
const MEMORY: u64 = 256 << 20;
/// Bytes of the images of shards in flight, on disk.
const DISK: u64 = 8 << 30;

/// The bytes of all shards that are in flight.
#[derive(Default)]
pub(crate) struct Window {
    used: Mutex<Used>,
    changed: Condvar,
}

#[derive(Default, Debug, Clone, Copy, PartialEq, Eq)]
struct Used {
    shards: usize,
    memory: u64,
    disk: u64,
}

/// A shard's place in the window, until it is dropped.
pub(crate) struct WindowPermit {
    window: Arc<Window>,
    memory: u64,
    disk: u64,
}

impl Window {
    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a shard whose rows take `memory` bytes has room beside those that are in flight;
    /// alone, any shard has. None when `stopped`.
    pub fn enter(
        self: &Arc<Self>,
        memory: u64,
        stopped: &dyn Fn() -> bool,
    ) -> Option<WindowPermit> {
        let mut used = self.used();
        while used.shards > 0 && (used.memory + memory > MEMORY || used.disk > DISK) {
            if stopped() {
                return None;
            }
            let wait = self.changed.wait_timeout(used, Duration::from_millis(100));
            used = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        used.shards += 1;
        used.memory += memory;
        Some(WindowPermit { window: self.clone(), memory, disk: 0 })
    }
}

impl WindowPermit {
    /// Notes how many bytes the shard has on disk by now.
    pub fn on_disk(&mut self, bytes: u64) {
        let more = bytes.saturating_sub(self.disk);
        self.disk += more;
        self.window.used().disk += more;
    }
}

impl Drop for WindowPermit {
    fn drop(&mut self) {
        let mut used = self.window.used();
        used.shards -= 1;
        used.memory -= self.memory;
        used.disk -= self.disk;
        drop(used);
        self.window.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_wait_for_memory_and_disk_but_one_alone_never() {
        let window = Arc::new(Window::default());
        // What would wait gives up at once.
        let enter = |memory| window.enter(memory, &|| true);
        let alone = enter(10 * MEMORY).unwrap();
        assert!(enter(1).is_none());
        drop(alone);
        let (first, mut second) = (enter(MEMORY / 2).unwrap(), enter(MEMORY / 2).unwrap());
        assert!(enter(1).is_none());
        drop(first);
        second.on_disk(DISK);
        second.on_disk(DISK + 1);
        assert!(enter(1).is_none());
        drop(second);
        assert_eq!(*window.used(), Used::default());
        assert!(enter(1).is_some());
    }

    #[test]
    fn one_that_waits_continues_when_another_leaves() {
        let window = Arc::new(Window::default());
        let first = window.enter(MEMORY, &|| false).unwrap();
        let other = window.clone();
        let waits = std::thread::spawn(move || other.enter(MEMORY, &|| false).is_some());
        drop(first);
        assert!(waits.join().unwrap());
    }
}
