//! Arguments about evaluation sets.

use std::path::PathBuf;

use super::super::ModelOptions;
use super::SetArgs;
use crate::at_least_one;

/// Arguments of `clip-data eval datasets`.
#[derive(clap::Args)]
pub struct DatasetsArgs {
    /// One dataset in full: layout, split, prompts, the paper's figures
    #[arg(conflicts_with_all = ["datacomp", "n_grams"])]
    pub name: Option<String>,
    /// DataComp's 38 tasks in place of the paper's
    #[arg(long, conflicts_with = "n_grams")]
    pub datacomp: bool,
    /// The comparison with Visual N-Grams (paper, table 1)
    #[arg(long)]
    pub n_grams: bool,
}

/// Arguments of `clip-data eval export`.
#[derive(clap::Args)]
pub struct ExportArgs {
    /// The set.
    #[command(flatten)]
    pub set: SetArgs,
    /// The part: train, val or test
    #[arg(long, default_value = "test", value_parser = ["train", "val", "test"])]
    pub split: String,
    /// The folder to write: a new one, or one that holds other parts of the same set
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// Most items in a shard
    #[arg(long, default_value_t = 10_000)]
    pub per_shard: usize,
}

/// Arguments of `clip-data eval doctor`.
#[derive(clap::Args)]
pub struct DoctorArgs {
    /// The set.
    #[command(flatten)]
    pub set: SetArgs,
    /// Weights, or a run: what the model predicts shows permuted classes and labels off by one
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// How it is opened.
    #[command(flatten)]
    pub options: ModelOptions,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto", requires = "model")]
    pub device: String,
    /// Images that are embedded at a time
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = at_least_one, requires = "model")]
    pub batch_size: usize,
}
