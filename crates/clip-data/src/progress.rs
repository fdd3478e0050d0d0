//! Showing a run: bars on a terminal, lines elsewhere, JSON for programs.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use clip_pipeline::{Event, Progress};
use indicatif::{ProgressBar, ProgressStyle};

/// How progress is shown, on standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Show {
    /// Bars on a terminal, else lines
    #[default]
    Auto,
    /// A line for every stage
    Plain,
    /// One JSON object a line
    Json,
    /// Nothing
    None,
}

impl Show {
    /// The watcher to give to a run.
    pub fn watcher(self) -> Arc<dyn Progress> {
        match self {
            Self::Auto if std::io::stderr().is_terminal() => Arc::new(Bars::default()),
            Self::Auto | Self::Plain => Arc::new(Lines::default()),
            Self::Json => Arc::new(Json),
            Self::None => Arc::new(()),
        }
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

/// Bytes of a single long task: a bar on a terminal, a line now and then elsewhere.
pub struct Track {
    bar: Option<ProgressBar>,
    show: Show,
    name: &'static str,
    total: u64,
    state: Mutex<(u64, Instant)>,
}

/// Time between lines.
const PAUSE: Duration = Duration::from_secs(10);

impl Track {
    /// A task that reads so many bytes.
    pub fn new(show: Show, name: &'static str, total: u64) -> Self {
        let bar = (show == Show::Auto && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template(
                "{prefix:>12} [{bar:28}] {bytes}/{total_bytes} {bytes_per_sec} {elapsed}",
            );
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(total).with_style(style.progress_chars("=> "));
            bar.set_prefix(name);
            bar
        });
        Self { bar, show, name, total, state: Mutex::new((0, Instant::now())) }
    }

    /// So many bytes more were read.
    pub fn advance(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
            return;
        }
        let Ok(mut state) = self.state.lock() else { return };
        state.0 += bytes;
        if state.1.elapsed() >= PAUSE {
            state.1 = Instant::now();
            self.line(state.0);
        }
    }

    /// All is read.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }

    fn line(&self, done: u64) {
        let (name, total) = (self.name, self.total);
        match self.show {
            Show::Json => {
                eprintln!("{}", serde_json::json!({"task": name, "bytes": done, "of": total}));
            }
            Show::None => {}
            Show::Auto | Show::Plain => {
                eprintln!("{name}: {} of {} MB", done / 1_000_000, total / 1_000_000);
            }
        }
    }
}
