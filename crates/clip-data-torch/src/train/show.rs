//! What a person sees of a run.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use clip_train::{Phase, Progress, StepMetrics};
use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal, else a line now and then; nothing on ranks but the first.
pub struct Show {
    bar: Option<ProgressBar>,
    quiet: bool,
    said: Instant,
    /// When the step in progress began.
    began: Instant,
    steps: u64,
}

/// Time between two lines.
const LINE: Duration = Duration::from_secs(20);
/// A step of less time than this has no progress of its own on the bar.
const SHORT: Duration = Duration::from_secs(3);

impl Show {
    /// For `steps` steps, of which `done` are done.
    pub fn new(steps: u64, done: u64, quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let style = "{prefix:>12} [{bar:28}] {pos}/{len} steps, {eta} left, {msg}";
            let style = ProgressStyle::with_template(style);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(steps).with_style(style.progress_chars("=> "));
            bar.set_prefix("train");
            bar.set_position(done);
            bar.reset_eta();
            bar
        });
        let now = Instant::now();
        // The first line comes soon.
        let said = now.checked_sub(LINE.saturating_sub(SHORT)).unwrap_or(now);
        Self { bar, quiet, said, began: now, steps }
    }

    /// Within a step.
    pub fn progress(&mut self, progress: &Progress) {
        if self.quiet || self.began.elapsed() < SHORT {
            return;
        }
        let line = line(progress);
        if let Some(bar) = &self.bar {
            bar.set_message(line);
        } else if self.said.elapsed() > LINE {
            eprintln!("train: step {} of {}: {line}", progress.step + 1, self.steps);
            self.said = Instant::now();
        }
    }

    /// After a step.
    pub fn step(&mut self, step: &StepMetrics) {
        self.began = Instant::now();
        let line = format!(
            "loss {:.3}, scale {:.1}, {:.0} pairs/s",
            step.loss, step.logit_scale, step.samples_per_second
        );
        if let Some(bar) = &self.bar {
            bar.set_position(step.step + 1);
            bar.set_message(line);
        } else if !self.quiet && (self.said.elapsed() > LINE || step.step + 1 == self.steps) {
            let left = (self.steps - step.step - 1) as f64 * step.seconds;
            eprintln!(
                "train: step {} of {}: {line}, {} left",
                step.step + 1,
                self.steps,
                time(left)
            );
            self.said = Instant::now();
        }
    }

    /// Something else to say.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None if self.quiet => {}
            None => eprintln!("{text}"),
        }
    }

    /// At the end.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}

fn line(progress: &Progress) -> String {
    let Progress { phase, done, of, pairs_per_second, .. } = progress;
    let name = match phase {
        Phase::Loading => return format!("{done} of {of} images loaded"),
        Phase::Embedding => "embedding",
        Phase::Training => "training",
    };
    format!("{name}, chunk {done} of {of} done, {pairs_per_second:.1} pairs/s")
}

fn time(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
