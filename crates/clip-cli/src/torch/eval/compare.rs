//! Arguments of the evaluations of many sets and models.

use std::path::PathBuf;

use clip_datasets::Protocol;

use super::super::ModelOptions;
use super::BatchArgs;
use crate::part;

/// Arguments of `clip-data eval robustness`.
#[derive(clap::Args)]
pub struct RobustnessArgs {
    /// Scores: JSON files of `eval zero-shot`, `eval linear-probe` or CLIP_benchmark, or folders
    /// of them
    #[arg(required = true)]
    pub scores: Vec<PathBuf>,
    /// Scores of another version of the model, for relative robustness
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub before: Vec<PathBuf>,
    /// Supervised probes that zero-shot is checked against; by default the paper's ResNet-50 (its
    /// figure 5)
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub probes: Vec<PathBuf>,
    /// Accuracy on the classes of a shifted set, as imagenet-r=0.93, where it is not ImageNet's
    #[arg(long, num_args = 1.., value_name = "NAME=X")]
    pub base: Vec<String>,
    /// Write the results as JSON
    #[arg(short, long, value_name = "FILE", alias = "output")]
    pub out: Option<PathBuf>,
    /// Write a page with the plots
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Arguments of `clip-data eval suite`.
#[derive(clap::Args)]
pub struct SuiteArgs {
    /// Checkpoints or runs
    #[arg(long, num_args = 1.., required = true)]
    pub model: Vec<PathBuf>,
    /// Sets: paths, or NAME=PATH; also folders of choices (WinoGAViL, SugarCrepe, Winoground)
    #[arg(long, num_args = 1.., required = true)]
    pub dataset: Vec<String>,
    /// The folder of results: what is there already is not computed again
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// How it is opened.
    #[command(flatten)]
    pub options: ModelOptions,
    /// Whose prompts, class order and metrics, for all sets
    #[arg(long, value_name = "NAME")]
    pub protocol: Option<Protocol>,
    /// Some of the classes of every set: a file with one a line, imagenet-a, imagenet-o,
    /// imagenet-r, or names by commas
    #[arg(long, value_name = "FILE|NAMES")]
    pub classes: Option<String>,
    /// Text before each caption of sets with captions; the paper has "a photo of "
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub prompt: String,
    /// Only every N-th evaluation, so that N processes share the work
    #[arg(long, value_name = "I/N", value_parser = part)]
    pub part: Option<(usize, usize)>,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Skip images that cannot be decoded, and count them
    #[arg(long)]
    pub skip_unreadable: bool,
    /// The batch.
    #[command(flatten)]
    pub batch: BatchArgs,
    /// contamination.json of the corpus: scores are given on All, Clean and Overlap
    #[arg(long, value_name = "FILE")]
    pub contamination: Option<PathBuf>,
    /// Where text classifiers are kept; the cache folder by default
    #[arg(long, value_name = "DIR")]
    pub classifier_cache: Option<PathBuf>,
    /// Write the table as a page
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}
