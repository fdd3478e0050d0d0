//! What the caller of a run decides between its steps, and hears of within them.

use std::time::Instant;

use clip_model::Clip;
use clip_torch::Precision;

use crate::{ProcessGroup, Result, StepMetrics};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Finished,
    /// Its time was over, or it was asked to stop; a checkpoint was written.
    Stopped,
}

/// What is evaluated after an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Epochs done.
    pub epoch: u64,
    /// Steps done.
    pub step: u64,
    /// Held-out pairs.
    pub val: bool,
    /// Zero-shot classification.
    pub zeroshot: bool,
}

/// What a step is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for images to be decoded.
    Loading,
    /// Taking chunks through the model without a graph.
    Embedding,
    /// Taking chunks through the model, and their gradients back.
    Training,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The step, from 0.
    pub step: u64,
    /// What it is doing.
    pub phase: Phase,
    /// Chunks done in this phase; when loading, this process's pairs.
    pub done: usize,
    /// All of them.
    pub of: usize,
    /// Pairs a second in this phase, over all processes.
    pub pairs_per_second: f64,
}

/// What the caller of a run does between its steps. By default nothing.
pub trait Hooks {
    /// Whether to stop after the step that is being taken.
    fn stop(&mut self) -> bool {
        false
    }
    /// Whether to stop at once: a step or an evaluation that is not complete is dropped.
    fn interrupted(&mut self) -> bool {
        false
    }
    /// Called before the first chunk of a step of several and after each, and now and then while
    /// images are waited for.
    fn on_progress(&mut self, _progress: &Progress) {}
    /// Called after every step.
    fn on_step(&mut self, _step: &StepMetrics, _total: u64) {}
    /// Called with what is odd.
    fn warn(&mut self, _text: &str) {}
    /// Scores of the model, by name, of what is due; called on every process at the same step.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`], on every process, when one of them was asked to stop at once.
    fn evaluate(
        &mut self,
        _model: &Clip,
        _precision: Precision,
        _world: &ProcessGroup,
        _due: Due,
    ) -> Result<Vec<(String, f64)>> {
        Ok(Vec::new())
    }
}

impl Hooks for () {}

/// Reports the chunks of a phase.
pub(crate) struct Meter {
    progress: Progress,
    started: Instant,
    pairs: usize,
    processes: usize,
}

impl Meter {
    pub fn start(step: u64, phase: Phase, of: usize, processes: usize) -> Self {
        let progress = Progress { step, phase, done: 0, of, pairs_per_second: 0.0 };
        Self { progress, started: Instant::now(), pairs: 0, processes }
    }

    /// Reports that `done` of all are done, with `pairs` pairs.
    pub fn report(&mut self, done: usize, pairs: usize, hooks: &mut dyn Hooks) {
        self.pairs = pairs;
        let seconds = self.started.elapsed().as_secs_f64().max(1e-9);
        let pairs_per_second = (self.pairs * self.processes) as f64 / seconds;
        self.progress = Progress { done, pairs_per_second, ..self.progress };
        hooks.on_progress(&self.progress);
    }

    /// Reports one more chunk, of `rows` pairs.
    pub fn chunk(&mut self, rows: i64, hooks: &mut dyn Hooks) {
        self.report(self.progress.done + 1, self.pairs + rows as usize, hooks);
    }
}
