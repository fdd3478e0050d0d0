//! CLIP pre-training: loader, recipe, trainer, checkpoints, and the processes that train together.
//!
//! ```
//! // The paper's table of learning rates.
//! assert_eq!(clip_train::paper("ViT-B-32").lr, 5e-4);
//! ```

mod aug_cfg;
mod augment;
mod captions;
mod checkpoint;
mod colour;
mod contents;
mod csv;
mod data;
mod dataset;
mod distributed;
mod epochs;
mod error;
mod evaluate;
mod health;
mod hooks;
mod loader;
mod lock;
mod logs;
mod loss;
mod metrics;
mod open_files;
mod optim;
mod options;
mod planned;
mod precision;
mod preset;
mod pt;
mod rank_info;
mod recipe;
mod recipe_check;
mod replicas;
mod sampler;
mod scheduler;
mod sealed;
mod shard;
mod step;
mod stored_image;
mod stream;
mod synthetic;
mod tensorboard;
#[cfg(test)]
mod tests;
mod text_objectives;
mod trainer;
mod word_serde;

pub use aug_cfg::AugCfg;
pub use augment::Augment;
pub use captions::CaptionKeys;
pub use checkpoint::{Checkpoint, EMA, checkpoints, latest};
pub use csv::{CsvOptions, open_csv};
pub use data::{Sampler, TrainData};
pub use dataset::{Corpus, CorpusOptions, Identity, SampleRef, Source};
pub use distributed::ProcessGroup;
pub use epochs::Epochs;
pub use error::{Error, Result};
pub use evaluate::evaluate;
pub use health::Health;
pub use hooks::{Due, Hooks, Phase, Progress};
pub use loader::{Batch, Loader, LoaderOptions};
pub use lock::is_trained;
pub use logs::{Logs, RunLock};
pub use loss::{Gradients, Temperature, contrastive};
pub use metrics::StepMetrics;
pub use options::TrainOptions;
pub use precision::{TrainPrecision, has_bf16};
pub use preset::{Preset, difference, paper};
pub use rank_info::RankInfo;
pub use recipe::{AdamStats, DecayRule, Objective, Opt, Recipe, Schedule, TextWeights};
pub use sampler::{Batches, EpochSampler};
pub use scheduler::Scheduler;
pub use stream::{ShardStream, StreamOptions, StreamSampler};
pub use text_objectives::ClassScorer;
pub use trainer::{Outcome, Trainer, fresh};
