//! The commands of `clip-data-torch`: their arguments, without libtorch, so that `clip-data` knows
//! them too, checks them, and prints their help where there is none.

mod convert;
mod detector;
mod embed;
mod eval;
mod model;
mod score;
mod train;

use clap::Subcommand;

pub use convert::{ConvertArgs, Dtype, To};
pub use detector::{DetectorTask, DetectorTrainArgs};
pub use embed::{EmbedArgs, Numbers, Only, Precision};
pub use eval::*;
pub use model::{ModelOptions, ModelPath, PreprocessArgs};
pub use score::{ScoreArgs, ScorerArgs, ServeScoresArgs};
pub use train::{TrainArgs, Window};

/// A command that needs libtorch.
#[derive(Subcommand)]
#[allow(clippy::large_enum_variant, reason = "made once")]
pub enum TorchCommand {
    /// Pre-train CLIP on WebDataset shards; the same command resumes it
    Train(Box<TrainArgs>),
    /// The learned duplicate detector of contamination reports
    Detector {
        /// What to do.
        #[command(subcommand)]
        task: DetectorTask,
    },
    /// Evaluate a model: zero-shot, retrieval, probes, robustness
    Eval {
        /// What to do.
        #[command(subcommand)]
        task: EvalTask,
    },
    /// Embed images and texts, in clip-retrieval's layout; the same command resumes it
    Embed(EmbedArgs),
    /// Score pairs by a CLIP, its heads and zero-shot classes; the same command resumes it
    Score(Box<ScoreArgs>),
    /// Answer pairs on standard input with scores on standard output, as `clip-data build` asks
    #[command(hide = true)]
    ServeScores(Box<ServeScoresArgs>),
    /// Convert weights between OpenAI's, open_clip's and transformers' formats
    Convert(ConvertArgs),
}

impl TorchCommand {
    /// The command's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Train(_) => "train",
            Self::Detector { .. } => "detector",
            Self::Eval { .. } => "eval",
            Self::Embed(_) => "embed",
            Self::Score(_) => "score",
            Self::ServeScores(_) => "serve-scores",
            Self::Convert(_) => "convert",
        }
    }
}
