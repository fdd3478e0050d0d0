//! The progress of a build: the stage in progress as a line in place on a terminal, as lines
//! elsewhere, as JSON for programs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clip_cli::{Rate, Show, StatusLine, duration};
use clip_pipeline::{Event, Progress};
use serde_json::json;

/// What shows a run.
pub fn watcher(show: Show) -> Arc<dyn Progress> {
    match show {
        Show::Auto | Show::Plain => Arc::new(Stages { show, current: Mutex::new(None) }),
        Show::Json => Arc::new(Json),
        Show::None => Arc::new(()),
    }
}

struct Json;

impl Progress for Json {
    fn on(&self, event: &Event) {
        eprintln!("{}", serde_json::json!(event));
    }
}

struct Stages {
    show: Show,
    current: Mutex<Option<Stage>>,
}

/// The stage in progress.
struct Stage {
    status: StatusLine,
    started: Instant,
    counts: StageCounts,
}

/// What of a stage is done.
#[derive(Default)]
struct StageCounts {
    parts: usize,
    parts_done: usize,
    /// Whether an earlier run did all of it.
    reused: bool,
    /// Rows of the parts that this run does, where they are known.
    total: Option<u64>,
    rows: u64,
    failed: u64,
    rate: Rate,
}

impl StageCounts {
    /// Of the unit that the bar measures, how many are done and how many there are: rows where the
    /// stage reports them and they are known, else parts.
    fn position(&self) -> (u64, u64) {
        match self.total.filter(|_| self.rows > 0) {
            Some(total) => (self.rows.min(total), total),
            None => (self.parts_done as u64, self.parts as u64),
        }
    }

    /// The line about it, `at` that time since it began.
    fn line(&mut self, at: Duration) -> String {
        let mut text = format!("{} of {} parts", self.parts_done, self.parts);
        if self.rows == 0 {
            return text;
        }
        self.rate.record(at, self.rows);
        let of = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
        text.push_str(&format!(", {}{of} rows", self.rows));
        if let Some(rate) = self.rate.per_second() {
            text.push_str(&format!(", {rate:.0} a second"));
        }
        if self.failed > 0 {
            text.push_str(&format!(", {} failed", self.failed));
        }
        if let Some(left) = self.total.and_then(|total| self.rate.left(total)) {
            text.push_str(&format!(", {} left", duration(left)));
        }
        text
    }
}

impl Stage {
    fn update(&mut self) {
        let (at, (done, total)) = (self.started.elapsed(), self.counts.position());
        let counts = &mut self.counts;
        self.status.set_total(total);
        self.status.update(done, || (counts.line(at), json!({})));
    }
}

impl Progress for Stages {
    fn on(&self, event: &Event) {
        let mut slot = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::StageStarted { stage, parts, done, rows } => {
                if done < parts && !self.show.in_place() {
                    eprintln!("{stage}: {parts} parts, {done} there");
                }
                let status = StatusLine::new(self.show, stage, Some(*parts as u64));
                let (parts, parts_done, reused) = (*parts, *done, parts == done);
                let counts =
                    StageCounts { parts, parts_done, reused, total: *rows, ..Default::default() };
                *slot = Some(Stage { status, started: Instant::now(), counts });
            }
            Event::StageDone { counts, .. } => {
                let Some(stage) = slot.take() else { return };
                let how = if stage.counts.reused { "reused" } else { "done" };
                let text = format!("{how}, {} in, {} out", counts.rows_in, counts.rows_out);
                stage.status.finish(stage.counts.position().1, (text, json!({})));
            }
            Event::PartDone { .. } => {
                if let Some(stage) = &mut *slot {
                    stage.counts.parts_done += 1;
                    stage.update();
                }
            }
            Event::Rows { rows, failed, .. } => {
                if let Some(stage) = &mut *slot {
                    stage.counts.rows += rows;
                    stage.counts.failed += failed;
                    stage.update();
                }
            }
            Event::PartFailed { stage, part, message } => {
                print_line(slot.as_ref(), &format!("{stage}: part {part} failed: {message}"));
            }
            Event::Note { stage, message } => {
                print_line(slot.as_ref(), &format!("{stage}: {message}"));
            }
        }
    }
}

/// A line of its own, above the one that is drawn in place.
fn print_line(stage: Option<&Stage>, line: &str) {
    stage.map_or_else(|| eprintln!("{line}"), |stage| stage.status.note(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_has_rows_rate_failures_and_the_time_left() {
        let mut counts =
            StageCounts { parts: 4, parts_done: 1, total: Some(900), ..Default::default() };
        assert_eq!(counts.line(Duration::ZERO), "1 of 4 parts");
        assert_eq!(counts.position(), (1, 4));
        (counts.rows, counts.failed) = (100, 9);
        assert_eq!(counts.line(Duration::from_secs(1)), "1 of 4 parts, 100 of 900 rows, 9 failed");
        counts.rows = 300;
        assert_eq!(
            counts.line(Duration::from_secs(3)),
            "1 of 4 parts, 300 of 900 rows, 100 a second, 9 failed, 6 s left"
        );
        assert_eq!(counts.position(), (300, 900));
    }

    #[test]
    fn rows_of_a_source_have_no_end_that_is_known() {
        let mut counts = StageCounts { parts: 4, rows: 100, ..Default::default() };
        counts.line(Duration::ZERO);
        counts.rows = 400;
        assert_eq!(counts.line(Duration::from_secs(2)), "0 of 4 parts, 400 rows, 150 a second");
        assert_eq!(counts.position(), (0, 4));
    }
}
