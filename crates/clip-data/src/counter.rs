//! Showing how rows end: img2dataset's line, every few seconds.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clip_crawl::dataset::{Stats, Status, Watch};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::progress::Show;

/// Time between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// Counts rows and shows them on standard error.
pub struct Counter {
    show: Show,
    bar: Option<ProgressBar>,
    started: Instant,
    last: Mutex<Instant>,
    successes: AtomicU64,
    failed_to_download: AtomicU64,
    failed_to_resize: AtomicU64,
}

impl Counter {
    /// Shows as asked.
    pub fn new(show: Show) -> Self {
        let bar = (show == Show::Auto && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
            let bar = ProgressBar::new_spinner();
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let started = Instant::now();
        Self {
            show,
            bar,
            started,
            last: Mutex::new(started),
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

    fn say(&self) {
        let (stats, seconds) = (self.stats(), self.started.elapsed().as_secs_f64());
        match (&self.bar, self.show) {
            (Some(bar), _) => bar.set_message(line(&stats, seconds).trim_end().to_owned()),
            (None, Show::Json) => eprintln!(
                "{}",
                json!({"event": "rows", "count": stats.count, "successes": stats.successes,
                    "failed_to_download": stats.failed_to_download,
                    "failed_to_resize": stats.failed_to_resize, "seconds": seconds})
            ),
            (None, Show::None) => {}
            (None, _) => eprint!("{}", line(&stats, seconds)),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
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
        let every = if self.bar.is_some() { Duration::from_millis(200) } else { EVERY };
        let Ok(mut last) = self.last.try_lock() else { return };
        if last.elapsed() >= every {
            *last = Instant::now();
            drop(last);
            self.say();
        }
    }

    fn shard(&self, shard: usize, stats: &Stats) {
        if self.show == Show::Json {
            let event = json!({"event": "shard", "shard": shard, "count": stats.count,
                "successes": stats.successes, "seconds": stats.duration});
            eprintln!("{event}");
        }
    }

    fn note(&self, message: &str) {
        match (&self.bar, self.show) {
            (Some(bar), _) => bar.println(message),
            (None, Show::Json) => eprintln!("{}", json!({"event": "note", "message": message})),
            (None, Show::None) => {}
            (None, _) => eprintln!("{message}"),
        }
    }
}
