//! What a person sees of a run.

use std::time::{Duration, Instant};

use clip_cli::{StatusLine, duration};
use clip_train::{Phase, Progress, StepMetrics};
use serde_json::Value;

/// A bar on a terminal, else a line now and then; nothing on ranks but the first.
pub struct Show {
    status: StatusLine,
    /// When the step in progress began.
    began: Instant,
    steps: u64,
    last: Option<StepMetrics>,
    left: TimeLeft,
}

/// Time between two lines.
const LINE: Duration = Duration::from_secs(20);
/// A step of less time than this has no progress of its own on the bar.
const SHORT: Duration = Duration::from_secs(3);

impl Show {
    /// For `steps` steps, of which `done` are done.
    pub fn new(steps: u64, done: u64, quiet: bool) -> Self {
        let show = if quiet { clip_cli::Show::None } else { clip_cli::Show::default() };
        let status = StatusLine::new(show, "train", Some(steps)).every(LINE);
        if show.in_place() {
            status.show(done, text(done, steps, "", None));
        }
        Self { status, began: Instant::now(), steps, last: None, left: TimeLeft::default() }
    }

    /// Within a step.
    pub fn progress(&mut self, progress: &Progress) {
        if self.began.elapsed() >= SHORT {
            let (done, steps) = (progress.step, self.steps);
            self.status.update(done, || text(done + 1, steps, &line(progress), None));
        }
    }

    /// After a step.
    pub fn step(&mut self, step: &StepMetrics) {
        self.left.step(self.began.elapsed().as_secs_f64());
        self.began = Instant::now();
        let (done, line) = (step.step + 1, self.after(step));
        self.status.update(done, || line);
        self.last = Some(step.clone());
    }

    /// Something else to say.
    pub fn say(&self, text: &str) {
        self.status.note(text);
    }

    /// At the end.
    pub fn finish(&self) {
        match &self.last {
            Some(step) => self.status.finish(step.step + 1, self.after(step)),
            None => self.status.clear(),
        }
    }

    fn after(&self, step: &StepMetrics) -> (String, Value) {
        let about = format!(
            "loss {:.3}, scale {:.1}, {:.0} pairs/s",
            step.loss, step.logit_scale, step.samples_per_second
        );
        let left = self.left.seconds(self.steps.saturating_sub(step.step + 1));
        text(step.step + 1, self.steps, &about, Some(left))
    }
}

fn text(step: u64, steps: u64, about: &str, left: Option<f64>) -> (String, Value) {
    let left = left.map_or(String::new(), |left| {
        format!(", {} left", duration(Duration::try_from_secs_f64(left).unwrap_or_default()))
    });
    (format!("step {step} of {steps}: {about}{left}"), Value::Null)
}

/// How long the remaining steps take: by the mean of all steps, in which a step of `HALF` seconds
/// ago counts half. One slow step, a checkpoint or an evaluation hardly moves it; a change that
/// lasts does.
#[derive(Default)]
struct TimeLeft {
    seconds: f64,
    steps: f64,
}

/// Seconds after which a step counts half.
const HALF: f64 = 180.0;

impl TimeLeft {
    /// After a step of that many seconds, what was done between it and the one before included.
    fn step(&mut self, seconds: f64) {
        let fades = (-seconds / HALF).exp2();
        self.seconds = self.seconds * fades + seconds;
        self.steps = self.steps * fades + 1.0;
    }

    fn seconds(&self, steps: u64) -> f64 {
        steps as f64 * self.seconds / self.steps.max(f64::MIN_POSITIVE)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_the_run_and_no_single_step() {
        let mut left = TimeLeft::default();
        let mut shown = Vec::new();
        for step in 0..3000u64 {
            // A machine that others use: steps of 0.16 s, one of 4 s now and then.
            left.step(if step % 97 == 96 { 4.0 } else { 0.16 });
            shown.push(left.seconds(1000));
        }
        // Within a minute, 300 steps, it stays within a fifth.
        for minute in shown[1000..].windows(300) {
            let (low, high) =
                minute.iter().fold((f64::MAX, 0f64), |(a, b), &x| (a.min(x), b.max(x)));
            assert!(high < 1.2 * low, "{low} to {high}");
        }
        // And a change that stays is followed.
        (0..2000).for_each(|_| left.step(0.5));
        assert!((left.seconds(1000) / 500.0 - 1.0).abs() < 0.05, "{}", left.seconds(1000));
    }
}
