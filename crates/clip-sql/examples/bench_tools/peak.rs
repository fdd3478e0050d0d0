//! What a process and its folder take.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The most memory that this process had, as the system says it.
pub fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
}

/// Looks at the size of a folder several times a second.
pub struct DiskPeak {
    ends: Arc<AtomicBool>,
    watcher: JoinHandle<u64>,
}

impl DiskPeak {
    pub fn watch(folder: &Path) -> Self {
        let (ends, folder) = (Arc::new(AtomicBool::new(false)), folder.to_path_buf());
        let (ended, most) = (ends.clone(), AtomicU64::new(0));
        let watcher = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                most.fetch_max(size(&folder), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(200));
            }
            most.into_inner()
        });
        Self { ends, watcher }
    }

    /// The most bytes that were seen.
    pub fn end(self) -> u64 {
        self.ends.store(true, Ordering::Relaxed);
        self.watcher.join().unwrap_or(0)
    }
}

/// Bytes of the files below a folder, of those that are still there when they are looked at.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok());
    let bytes = entries.filter_map(|entry| {
        let meta = entry.metadata().ok()?;
        Some(if meta.is_dir() { size(&entry.path()) } else { meta.len() })
    });
    bytes.sum()
}
