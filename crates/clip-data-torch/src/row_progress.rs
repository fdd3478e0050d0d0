//! The progress of a command that works through rows: how many are done, and how fast.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clip_cli::{Show, StatusLine, counted};
use clip_embed::Summary;
use serde_json::{Value, json};

use crate::exit;

/// Counts rows from several threads and shows them.
pub struct RowProgress {
    unit: &'static str,
    status: StatusLine,
    started: Instant,
    done: AtomicUsize,
}

impl RowProgress {
    /// For a command of this name, and what it calls a row.
    pub fn new(command: &str, unit: &'static str) -> Self {
        let status = StatusLine::new(Show::default_here(), command, None);
        Self { unit, status, started: Instant::now(), done: AtomicUsize::new(0) }
    }

    /// After this many rows more.
    pub fn add(&self, rows: usize) {
        let done = self.done.fetch_add(rows, Ordering::Relaxed) + rows;
        self.status.update(done as u64, || self.line(done));
    }

    /// At the end of a run over `parts` parts into `out`: what came of it, or that it was
    /// interrupted.
    pub fn report(&self, summary: Option<Summary>, parts: usize, out: &Path) -> ExitCode {
        let done = self.done.load(Ordering::Relaxed);
        self.status.finish(done as u64, self.line(done));
        let Some(Summary { rows, rejects, reused, changed, made_uids }) = summary else {
            eprintln!("interrupted: run the same command again to resume");
            return ExitCode::from(exit::INTERRUPTED);
        };
        if reused > 0 {
            note!("{reused} of {parts} parts were done before");
        }
        if changed > 0 {
            note!("{changed} of {parts} parts were made again: what they are of changed since");
        }
        let (unit, folder) = (self.unit, out.join("rejects"));
        if rejects > 0 {
            let folder = folder.display();
            eprintln!("rejected: {}: {folder} has keys and reasons", counted(rejects, unit));
        }
        if made_uids > 0 {
            eprintln!(
                "warning: without a uid in their shards: {}; the tables have one made of URL and caption, by \
                 which `clip-data reshard` finds no sample\n\
                 hint: a build gives pairs uids, and scores them: `clip-data init --from webdataset`, [[score]]",
                counted(made_uids, unit)
            );
        }
        println!("{} in {}", counted(rows, unit), out.display());
        ExitCode::SUCCESS
    }

    fn line(&self, rows: usize) -> (String, Value) {
        let rate = rows as f64 / self.started.elapsed().as_secs_f64();
        let line = json!({"event": "rows", "rows": rows, "rate": rate});
        (format!("{}, {rate:.0} a second", counted(rows, self.unit)), line)
    }
}
