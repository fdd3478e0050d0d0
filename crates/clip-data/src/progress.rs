//! The progress of a build: bars on a terminal, lines elsewhere, JSON for programs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clip_cli::Show;
use clip_pipeline::{Event, Progress};
use indicatif::{ProgressBar, ProgressStyle};

/// What shows a run.
pub fn watcher(show: Show) -> Arc<dyn Progress> {
    match show {
        Show::Auto if show.in_place() => Arc::new(Bars::default()),
        Show::Auto | Show::Plain => Arc::new(Lines::default()),
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

#[derive(Default)]
struct Lines {
    reused: Mutex<HashMap<String, bool>>,
}

impl Progress for Lines {
    fn on(&self, event: &Event) {
        match event {
            Event::StageStarted { stage, parts, done } => {
                if let Ok(mut reused) = self.reused.lock() {
                    reused.insert(stage.clone(), parts == done);
                }
                if done < parts {
                    eprintln!("{stage}: {parts} parts, {done} there");
                }
            }
            Event::StageDone { stage, counts } => {
                let reused = self.reused.lock().is_ok_and(|r| r.get(stage) == Some(&true));
                let how = if reused { "reused" } else { "done" };
                eprintln!("{stage}: {how}, {} in, {} out", counts.rows_in, counts.rows_out);
            }
            Event::PartFailed { stage, part, message } => {
                eprintln!("{stage}: part {part} failed: {message}");
            }
            Event::Note { stage, message } => eprintln!("{stage}: {message}"),
            Event::Rows { .. } | Event::PartDone { .. } => {}
        }
    }
}

#[derive(Default)]
struct Bars {
    bar: Mutex<Option<ProgressBar>>,
}

impl Bars {
    fn style() -> ProgressStyle {
        ProgressStyle::with_template("{prefix:>12} [{bar:28}] {pos}/{len} parts {elapsed} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ")
    }
}

impl Progress for Bars {
    fn on(&self, event: &Event) {
        let Ok(mut slot) = self.bar.lock() else { return };
        match event {
            Event::StageStarted { stage, parts, done } => {
                let bar = ProgressBar::new(*parts as u64).with_style(Self::style());
                bar.set_prefix(stage.clone());
                bar.set_position(*done as u64);
                bar.enable_steady_tick(Duration::from_millis(200));
                *slot = Some(bar);
            }
            Event::StageDone { counts, .. } => {
                if let Some(bar) = slot.take() {
                    bar.finish_with_message(format!("{} -> {}", counts.rows_in, counts.rows_out));
                }
            }
            Event::PartDone { counts, .. } => {
                if let Some(bar) = &*slot {
                    bar.inc(1);
                    bar.set_message(format!("{} rows", counts.rows_out));
                }
            }
            Event::Rows { .. } => {}
            Event::PartFailed { stage, part, message } => {
                let line = format!("{stage}: part {part} failed: {message}");
                slot.as_ref().map_or_else(|| eprintln!("{line}"), |bar| bar.println(line.clone()));
            }
            Event::Note { stage, message } => {
                let line = format!("{stage}: {message}");
                slot.as_ref().map_or_else(|| eprintln!("{line}"), |bar| bar.println(line.clone()));
            }
        }
    }
}
