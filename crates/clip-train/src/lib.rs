//! CLIP pre-training: loader, recipe, trainer, checkpoints, and the processes that train together.

mod augment;
mod checkpoint;
mod contents;
mod corpus;
mod draw;
mod error;
mod evaluate;
mod learner;
mod loader;
mod lock;
mod logs;
mod loss;
mod order;
mod place;
mod predict;
mod preset;
mod pt;
mod recipe;
mod replicas;
mod shard;
mod step;
mod synthetic;
mod tensorboard;
#[cfg(test)]
mod tests;
mod trainer;
mod watch;
mod world;

pub use augment::Augment;
pub use checkpoint::{AVERAGE, Checkpoint, checkpoints, latest};
pub use corpus::{Corpus, CorpusOptions, Identity, Source};
pub use error::{Error, Result};
pub use evaluate::evaluate;
pub use loader::{Batch, Loader, LoaderOptions};
pub use lock::is_trained;
pub use logs::Logs;
pub use loss::{Gradients, Temperature, contrastive};
pub use order::{Batches, Plan, Use};
pub use place::Place;
pub use predict::ClassScorer;
pub use preset::{Preset, difference, paper};
pub use recipe::{AdamStats, DecayRule, Objective, Recipe, Schedule, TextWeights, has_bf16};
pub use step::Step;
pub use trainer::{Due, Hooks, Outcome, TrainOptions, Trainer, fresh};
pub use watch::Watch;
pub use world::World;
