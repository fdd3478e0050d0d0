//! A line of a table for what a barrier took.

use std::path::Path;
use std::time::Instant;

use crate::peak::{DiskPeak, memory};

/// Ticks of the system's clock in a second, of which processor time is counted.
const TICKS: f64 = 100.0;

/// A measurement in progress.
pub struct Measure {
    start: Instant,
    cpu: f64,
    disk: DiskPeak,
}

impl Measure {
    /// Begins, and looks at what is written below a folder.
    pub fn start(folder: &Path) -> Self {
        Self { start: Instant::now(), cpu: cpu(), disk: DiskPeak::watch(folder) }
    }

    /// Ends: name, rows, seconds, seconds of processor time, the most memory of the process and
    /// the most disk, both in GB.
    pub fn end(self, name: &str, rows: u64) -> String {
        let (seconds, cpu) = (self.start.elapsed().as_secs_f64(), cpu() - self.cpu);
        let disk = self.disk.end() as f64 / 1e9;
        let memory = memory().split(' ').next().and_then(|kb| kb.parse::<f64>().ok());
        let memory = memory.unwrap_or(f64::NAN) * 1024.0 / 1e9;
        format!("| {name} | {rows} | {seconds:.1} | {cpu:.1} | {memory:.2} | {disk:.2} |")
    }
}

/// Seconds of processor time of this process so far.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the command's name, which may have spaces, the 12th and 13th numbers.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS
}
