//! Arguments of the probes.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clip_datasets::Protocol;

use super::super::ModelOptions;
use super::BatchArgs;
use crate::at_least_one;

/// Where features come from.
#[derive(clap::Args)]
pub struct ProbeSource {
    /// Weights (a folder or file, in any known format), or a run's folder, for its newest
    /// checkpoint
    #[arg(long, required_unless_present = "features", requires = "dataset")]
    pub model: Option<PathBuf>,
    /// A set with a train part: a path, or NAME=PATH
    #[arg(long, required_unless_present = "features")]
    pub dataset: Option<String>,
    /// A set that is only scored, in place of --dataset's test part; its classes are found by name
    #[arg(long, value_name = "NAME=PATH")]
    pub test_dataset: Option<String>,
    /// Features that are there: train.npy, train_labels.npy, test.npy, test_labels.npy, optionally
    /// val
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "model", "dataset", "test_dataset", "save_features", "projected", "protocol", "classes", "fold",
        "device", "limit", "batch_size", "model_name", "image_size", "image_mean", "image_std",
        "image_interpolation", "image_resize_mode"
    ])]
    pub features: Option<PathBuf>,
    /// How it is opened.
    #[command(flatten)]
    pub options: ModelOptions,
    /// Write the features for another time
    #[arg(long, value_name = "DIR")]
    pub save_features: Option<PathBuf>,
    /// Probe the features after the projection, at unit length; the paper's are before it
    #[arg(long)]
    pub projected: bool,
    /// Whose prompts and class order
    #[arg(long, value_name = "NAME")]
    pub protocol: Option<Protocol>,
    /// Some of the classes: a file with one a line, imagenet-a, imagenet-o, imagenet-r, or names
    /// by commas
    #[arg(long, value_name = "FILE|NAMES")]
    pub classes: Option<String>,
    /// One of the dataset's folds or splits, from 1 (STL-10 has 10, UCF101 3); all are averaged by
    /// default
    #[arg(long, value_name = "N")]
    pub fold: Option<usize>,
    /// Leave out of train and val what is in test, by content, in place of an error; the counts
    /// are in the JSON
    #[arg(long)]
    pub drop_shared: bool,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// The batch.
    #[command(flatten)]
    pub batch: BatchArgs,
    /// Seed of the validation part, a fifth of train, where the set has none [default: 0]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Use N items of each part only, spread evenly over it
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub limit: Option<usize>,
}

/// How probes are fitted.
#[derive(clap::Args)]
pub struct FitArgs {
    /// The largest entry of the gradient of the mean loss that counts as none
    #[arg(long, default_value_t = 1e-4)]
    pub tolerance: f64,
    /// Most iterations of L-BFGS
    #[arg(long, default_value_t = 1000)]
    pub max_iter: usize,
}

/// Arguments of `clip-data eval linear-probe`.
#[derive(clap::Args)]
pub struct LinearProbeArgs {
    /// The features.
    #[command(flatten)]
    pub source: ProbeSource,
    /// How they are fitted.
    #[command(flatten)]
    pub fit: FitArgs,
    /// Fit with this strength only (1 / scikit-learn's C), without the search
    #[arg(long, value_name = "X")]
    pub lambda: Option<f64>,
    /// Write the scores as JSON, with CLIP_benchmark's keys
    #[arg(short, long, value_name = "FILE", alias = "output")]
    pub out: Option<PathBuf>,
}

/// Arguments of `clip-data eval few-shot`.
#[derive(clap::Args)]
pub struct FewShotArgs {
    /// The features.
    #[command(flatten)]
    pub source: ProbeSource,
    /// How they are fitted.
    #[command(flatten)]
    pub fit: FitArgs,
    /// Examples a class; zero-shot and all of them are always there
    #[arg(long, num_args = 1.., default_values_t = [1, 2, 4, 8, 16],
        value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub shots: Vec<usize>,
    /// Draws of the examples, averaged
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// The zero-shot score in (0, 1), in place of the model's own
    #[arg(long, value_name = "X")]
    pub zero_shot: Option<f64>,
    /// Write the curve as JSON
    #[arg(short, long, value_name = "FILE", alias = "output")]
    pub out: Option<PathBuf>,
    /// Write a page with the curve
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}
