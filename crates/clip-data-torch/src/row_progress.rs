//! The progress of a command that works through rows: how many are done, and how fast.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clip_cli::{Show, StatusLine};
use serde_json::{Value, json};

/// Counts rows from several threads and shows them.
pub struct RowProgress {
    unit: &'static str,
    status: StatusLine,
    started: Instant,
    done: AtomicUsize,
}

impl RowProgress {
    /// For a command of this name, and what it calls its rows.
    pub fn new(command: &str, unit: &'static str) -> Self {
        let status = StatusLine::new(Show::default_here(), command, None);
        Self { unit, status, started: Instant::now(), done: AtomicUsize::new(0) }
    }

    /// After this many rows more.
    pub fn add(&self, rows: usize) {
        let done = self.done.fetch_add(rows, Ordering::Relaxed) + rows;
        self.status.update(done as u64, || self.line(done));
    }

    /// At the end.
    pub fn finish(&self) {
        let done = self.done.load(Ordering::Relaxed);
        self.status.finish(done as u64, self.line(done));
    }

    fn line(&self, rows: usize) -> (String, Value) {
        let rate = rows as f64 / self.started.elapsed().as_secs_f64();
        let line = json!({"event": "rows", "rows": rows, "rate": rate});
        (format!("{rows} {}, {rate:.0} a second", self.unit), line)
    }
}
