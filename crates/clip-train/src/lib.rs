//! Loader, recipe, trainer and checkpoints of CLIP pre-training.

mod augment;
mod checkpoint;
mod corpus;
mod draw;
mod error;
mod loader;
mod logs;
mod loss;
mod recipe;
mod trainer;

pub use augment::Augment;
pub use checkpoint::{Checkpoint, checkpoints, latest};
pub use corpus::{Corpus, Pair};
pub use error::{Error, Result};
pub use loader::{Batch, Loader, LoaderOptions, epoch_batches};
pub use logs::Logs;
pub use loss::contrastive;
pub use recipe::{Preset, Recipe, has_bf16, is_decayed};
pub use trainer::{Outcome, Step, Trainer, pixels};
