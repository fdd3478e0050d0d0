//! CLIP pre-training: recipe, trainer, checkpoints, and the processes that train together.
//!
//! ```
//! // The paper's table of learning rates.
//! assert_eq!(clip_train::paper("ViT-B-32").lr, 5e-4);
//! ```

mod checkpoint;
mod distributed;
mod error;
mod evaluate;
mod fresh;
mod health;
mod hooks;
mod loader;
mod lock;
mod logs;
mod loss;
mod metrics;
mod optim;
mod options;
mod precision;
mod preset;
mod protobuf;
mod pt;
mod rank_info;
mod recipe;
mod recipe_check;
mod replicas;
mod scheduler;
mod sealed;
mod step;
mod tensorboard;
#[cfg(test)]
mod tests;
mod text_objectives;
mod trainer;
mod wandb;

pub use checkpoint::{Checkpoint, EMA, checkpoints, latest};
pub use distributed::ProcessGroup;
pub use error::{Error, Result};
pub use evaluate::evaluate;
pub use fresh::fresh;
pub use health::Health;
pub use hooks::{Due, Hooks, Outcome, Phase, Progress};
pub use loader::{Batch, Loader};
pub use lock::is_trained;
pub use logs::{Logs, RunLock};
pub use loss::{Gradients, Temperature, contrastive};
pub use metrics::StepMetrics;
pub use options::TrainOptions;
pub use precision::TrainPrecision;
pub use preset::{Preset, difference, paper};
pub use rank_info::RankInfo;
pub use recipe::{AdamStats, DecayRule, Objective, Opt, Recipe, Schedule, TextWeights};
pub use scheduler::Scheduler;
pub use text_objectives::ClassScorer;
pub use trainer::Trainer;
pub use wandb::WandbRun;
