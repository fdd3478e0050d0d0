//! Arguments of the evaluations that need no training.

use std::path::PathBuf;

use super::{BatchArgs, ModelArgs, PromptArgs, SetArgs};
use crate::at_least_one;

/// Where scores are written.
#[derive(clap::Args)]
pub struct ScoreFiles {
    /// Write the scores as JSON, with CLIP_benchmark's keys
    #[arg(short, long, value_name = "FILE", alias = "output")]
    pub out: Option<PathBuf>,
    /// Append the scores to a file of lines, with DataComp's keys
    #[arg(long, value_name = "FILE")]
    pub datacomp_output: Option<PathBuf>,
}

/// Arguments of `clip-data eval zero-shot`.
#[derive(clap::Args)]
pub struct ZeroShotArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The set.
    #[command(flatten)]
    pub set: SetArgs,
    /// The batch.
    #[command(flatten)]
    pub batch: BatchArgs,
    /// What is said of the classes.
    #[command(flatten)]
    pub prompts: PromptArgs,
    /// What average precision ranks by, with several classes an item: softmax (the default, the
    /// paper's figures) or logit
    #[arg(long, value_parser = ["softmax", "logit"])]
    pub score: Option<String>,
    /// contamination.json of the corpus: scores are given on All, Clean and Overlap
    #[arg(long, value_name = "FILE")]
    pub contamination: Option<PathBuf>,
    /// Where the scores go.
    #[command(flatten)]
    pub files: ScoreFiles,
    /// Write what was predicted for each item as Parquet, for `clip-data contamination`: `rank` is
    /// the place of the right class, from 0, `score` the cosine of the predicted class
    #[arg(long, value_name = "FILE")]
    pub predictions: Option<PathBuf>,
    /// Write the logits [items, classes] as .npy: 100 times the cosines, whatever the model's
    /// logit_scale
    #[arg(long, value_name = "FILE")]
    pub logits: Option<PathBuf>,
    /// Write a page with the confusion of classes and the best and worst images
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Arguments of `clip-data eval retrieval`.
#[derive(clap::Args)]
pub struct RetrievalArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The set.
    #[command(flatten)]
    pub set: SetArgs,
    /// The batch.
    #[command(flatten)]
    pub batch: BatchArgs,
    /// Text before each caption; the paper has "a photo of "
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub prompt: String,
    /// The Ks [default: 1 5 10, as far as there are that many images]
    #[arg(long, num_args = 1.., value_name = "K", value_parser = at_least_one)]
    pub recall_k: Option<Vec<usize>>,
    /// Where the scores go.
    #[command(flatten)]
    pub files: ScoreFiles,
    /// Write the similarities [captions, images] as .npy: cosines
    #[arg(long, value_name = "FILE")]
    pub logits: Option<PathBuf>,
}

/// Arguments of `clip-data eval choice`.
#[derive(clap::Args)]
pub struct ChoiceArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// SugarCrepe's folder or one of its files, Winoground's or WinoGAViL's folder
    #[arg(long)]
    pub dataset: PathBuf,
    /// The batch.
    #[command(flatten)]
    pub batch: BatchArgs,
    /// Where the scores go.
    #[command(flatten)]
    pub files: ScoreFiles,
}

/// Arguments of `clip-data eval geolocation`.
#[derive(clap::Args)]
pub struct GeolocationArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Images whose places are known: a table with the columns image, latitude, longitude
    #[arg(long, value_name = "CSV")]
    pub gallery: PathBuf,
    /// Images that are guessed: a table with the same columns
    #[arg(long, value_name = "CSV")]
    pub queries: PathBuf,
    /// Leave images out of the gallery that are queries too, by content, in place of an error
    #[arg(long)]
    pub drop_shared: bool,
    /// The batch.
    #[command(flatten)]
    pub batch: BatchArgs,
    /// Write the scores as JSON
    #[arg(short, long, value_name = "FILE", alias = "output")]
    pub out: Option<PathBuf>,
}
