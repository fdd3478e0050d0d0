//! What the machine decides of a run, not the recipe.

use std::time::Duration;

/// What the machine decides, not the recipe.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// Seed of order, captions, augmentation and weights.
    pub seed: u64,
    /// Pairs that are in the model at a time, on each process.
    pub chunk: usize,
    /// Threads that decode and augment.
    pub threads: usize,
    /// Time between two checkpoints.
    pub save_every: Duration,
    /// Steps between two checkpoints; 0 for none but those by time.
    pub save_steps: u64,
    /// Epochs between two of open_clip's `epoch_N.pt`; 0 for none.
    pub save_epochs: u64,
    /// Checkpoints that are kept.
    pub keep: usize,
    /// Steps between two lines of `out.log`.
    pub log_steps: u64,
    /// Epochs between two evaluations on held-out pairs, and one at the end; 0 for none.
    pub val_epochs: u64,
    /// The same of zero-shot classification.
    pub zeroshot_epochs: u64,
    /// Whether blocks are computed again in the backward pass instead of kept.
    pub grad_checkpointing: bool,
}
