//! What every evaluation takes: a model, a set, prompts.

use std::path::PathBuf;

use clip_datasets::Protocol;

use super::super::ModelPath;
use crate::at_least_one;

/// The model, and where it computes.
#[derive(clap::Args)]
pub struct ModelArgs {
    /// The model.
    #[command(flatten)]
    pub weights: ModelPath,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,
}

/// How many images are embedded at a time: memory and speed, not scores.
#[derive(clap::Args, Clone, Copy)]
pub struct BatchArgs {
    /// Images that are embedded at a time
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = at_least_one)]
    pub batch_size: usize,
}

/// The set.
#[derive(clap::Args, Clone)]
pub struct SetArgs {
    /// The evaluation set: a path, or NAME=PATH with a name that `eval datasets` lists
    #[arg(long)]
    pub dataset: String,
    /// Whose prompts, class order and metric: openai, clip-benchmark, datacomp or folder (the
    /// set's own)
    #[arg(long, value_name = "NAME")]
    pub protocol: Option<Protocol>,
    /// The layout, by name, where it shall not be recognised
    #[arg(long, value_name = "NAME")]
    pub layout: Option<String>,
    /// What stands for a video: middle (its middle frame) or all (the mean over its frames)
    #[arg(long, default_value = "middle", value_parser = ["middle", "all"])]
    pub frames: String,
    /// Some of the classes: a file with one a line, imagenet-a, imagenet-o, imagenet-r, or names
    /// by commas
    #[arg(long, value_name = "FILE|NAMES")]
    pub classes: Option<String>,
    /// Skip images that cannot be decoded, and count them
    #[arg(long)]
    pub skip_unreadable: bool,
    /// Take N items only, spread evenly over the set
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub limit: Option<usize>,
}

/// What is said of the classes.
#[derive(clap::Args, Clone)]
pub struct PromptArgs {
    /// Templates, one a line with {c} for the class, in place of the set's
    #[arg(long, value_name = "FILE")]
    pub templates: Option<PathBuf>,
    /// Whole prompts of each class, JSON {"class": ["prompt", …]}, in place of the set's
    #[arg(long, value_name = "FILE", conflicts_with = "templates")]
    pub class_prompts: Option<PathBuf>,
    /// What stands for a class of several names: mean (of all prompts) or max (the best name)
    #[arg(long, default_value = "mean", value_parser = ["mean", "max"])]
    pub names: String,
    /// Where text classifiers are kept; the cache folder by default
    #[arg(long, value_name = "DIR")]
    pub classifier_cache: Option<PathBuf>,
    /// Embed the prompts anew
    #[arg(long, conflicts_with = "classifier_cache")]
    pub no_classifier_cache: bool,
}

impl SetArgs {
    /// How many items of a set of this size are evaluated.
    pub fn count(&self, total: Option<u64>) -> Option<u64> {
        total.map(|total| self.limit.map_or(total, |limit| total.min(limit as u64)))
    }
}

impl PromptArgs {
    /// Where classifiers are kept.
    pub fn cache(&self) -> Option<PathBuf> {
        if self.no_classifier_cache {
            return None;
        }
        self.classifier_cache.clone().or_else(|| clip_corpus::cache_folder("classifiers"))
    }
}
