//! Showing how rows end: img2dataset's line, every few seconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clip_cli::{Show, StatusLine};
use clip_crawl::dataset::{Stats, Status, Watch};
use serde_json::json;

/// Time between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// Counts rows and shows them on standard error.
pub struct Counter {
    status: StatusLine,
    started: Instant,
    successes: AtomicU64,
    failed_to_download: AtomicU64,
    failed_to_resize: AtomicU64,
}

impl Counter {
    /// Shows as asked.
    pub fn new(show: Show) -> Self {
        Self {
            status: StatusLine::new(show, "", None).every(EVERY),
            started: Instant::now(),
            successes: AtomicU64::new(0),
            failed_to_download: AtomicU64::new(0),
            failed_to_resize: AtomicU64::new(0),
        }
    }

    fn stats(&self) -> Stats {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (successes, failed_to_download, failed_to_resize) =
            (load(&self.successes), load(&self.failed_to_download), load(&self.failed_to_resize));
        let count = successes + failed_to_download + failed_to_resize;
        Stats { count, successes, failed_to_download, failed_to_resize, ..Stats::default() }
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.status.clear();
    }
}

/// img2dataset's line about all rows so far.
pub fn line(stats: &Stats, seconds: f64) -> String {
    let share = |count: u64| count as f64 / stats.count.max(1) as f64;
    format!(
        "total   - success: {:.3} - failed to download: {:.3} - failed to resize: {:.3} - images per sec: {:.0} - count: {}\n",
        share(stats.successes),
        share(stats.failed_to_download),
        share(stats.failed_to_resize),
        stats.count as f64 / seconds.max(1e-9),
        stats.count
    )
}

impl Watch for Counter {
    fn row(&self, status: Status) {
        let count = match status {
            Status::Success => &self.successes,
            Status::FailedToDownload => &self.failed_to_download,
            Status::FailedToResize => &self.failed_to_resize,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.status.update(0, || {
            let (stats, seconds) = (self.stats(), self.started.elapsed().as_secs_f64());
            let json = json!({"event": "rows", "count": stats.count, "successes": stats.successes,
                "failed_to_download": stats.failed_to_download,
                "failed_to_resize": stats.failed_to_resize, "seconds": seconds});
            (line(&stats, seconds).trim_end().to_owned(), json)
        });
    }

    fn shard(&self, shard: usize, stats: &Stats) {
        self.status.event(&json!({"event": "shard", "shard": shard, "count": stats.count,
            "successes": stats.successes, "seconds": stats.duration}));
    }

    fn note(&self, message: &str) {
        self.status.note(message);
    }
}
