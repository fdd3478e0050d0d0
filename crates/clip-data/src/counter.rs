//! Showing how rows end: img2dataset's line, every few seconds, with the time that is left.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clip_cli::{Rate, Show, StatusLine, duration};
use clip_crawl::dataset::{Stats, Status, Watch};
use serde_json::{Value, json};

/// Time between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// Counts rows and shows them on standard error.
pub struct Counter {
    status: StatusLine,
    started: Instant,
    rate: Mutex<Rate>,
    /// Rows of the run; 0 while they are not known.
    total: AtomicU64,
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
            rate: Mutex::default(),
            total: AtomicU64::new(0),
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

    /// The line about the rows so far, with the recent rate, and the same for programs.
    fn status(&self, at: Duration) -> (String, Value) {
        let (stats, total) = (self.stats(), self.total.load(Ordering::Relaxed));
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        rate.record(at, stats.count);
        let per_second =
            rate.per_second().unwrap_or(stats.count as f64 / at.as_secs_f64().max(1e-9));
        let left = (total > 0).then(|| rate.left(total)).flatten();
        let mut text = with_rate(&stats, per_second);
        if total > 0 {
            text.push_str(&format!(" of {total}"));
        }
        if let Some(left) = left {
            text.push_str(&format!(" - left: {}", duration(left)));
        }
        let json = json!({"event": "rows", "count": stats.count, "successes": stats.successes,
            "failed_to_download": stats.failed_to_download,
            "failed_to_resize": stats.failed_to_resize, "seconds": at.as_secs_f64(),
            "total": (total > 0).then_some(total),
            "seconds_left": left.map(|left| left.as_secs_f64())});
        (text, json)
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.status.clear();
    }
}

/// img2dataset's line about all rows so far.
pub fn line(stats: &Stats, seconds: f64) -> String {
    with_rate(stats, stats.count as f64 / seconds.max(1e-9)) + "\n"
}

fn with_rate(stats: &Stats, per_second: f64) -> String {
    let share = |count: u64| count as f64 / stats.count.max(1) as f64;
    format!(
        "total   - success: {:.3} - failed to download: {:.3} - failed to resize: {:.3} - images per sec: {per_second:.0} - count: {}",
        share(stats.successes),
        share(stats.failed_to_download),
        share(stats.failed_to_resize),
        stats.count
    )
}

impl Watch for Counter {
    fn total(&self, rows: u64) {
        self.total.store(rows, Ordering::Relaxed);
        self.status.set_total(rows);
    }

    fn row(&self, status: Status) {
        let count = match status {
            Status::Success => &self.successes,
            Status::FailedToDownload => &self.failed_to_download,
            Status::FailedToResize => &self.failed_to_resize,
        };
        count.fetch_add(1, Ordering::Relaxed);
        let done = || self.stats().count;
        self.status.update_with(done, || self.status(self.started.elapsed()));
    }

    fn shard(&self, shard: usize, stats: &Stats) {
        self.status.event(&json!({"event": "shard", "shard": shard, "count": stats.count,
            "successes": stats.successes, "seconds": stats.duration}));
    }

    fn note(&self, message: &str) {
        self.status.note(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_rows_rate_failures_and_the_time_left() {
        let counter = Counter::new(Show::None);
        let rows = |count: usize| {
            for at in 0..count {
                let failed = at % 4 == 0;
                counter.row(if failed { Status::FailedToDownload } else { Status::Success });
            }
        };
        counter.status(Duration::ZERO);
        rows(100);
        let (text, json) = counter.status(Duration::from_secs(1));
        assert_eq!(
            text,
            "total   - success: 0.750 - failed to download: 0.250 - failed to resize: 0.000 - images per sec: 100 - count: 100"
        );
        assert_eq!((&json["total"], &json["seconds_left"]), (&Value::Null, &Value::Null));
        counter.total(1000);
        rows(100);
        let (text, json) = counter.status(Duration::from_secs(2));
        assert!(text.ends_with("images per sec: 100 - count: 200 of 1000 - left: 8 s"), "{text}");
        assert_eq!(
            (json["total"].as_u64(), json["seconds_left"].as_f64()),
            (Some(1000), Some(8.0))
        );
    }
}
