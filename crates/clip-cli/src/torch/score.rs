//! Arguments of `clip-data score`.

use std::path::PathBuf;

use clip_score::{Head, parse_class};

use super::{ModelPath, Precision};
use crate::at_least_one;

/// A model that scores pairs.
#[derive(clap::Args)]
pub struct ScorerArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelPath,
    /// A head on the image's embedding, and the column it gives: a linear layer or an MLP; may be
    /// given again
    #[arg(long = "head", value_name = "NAME=FILE[,activation=relu][,output=sigmoid]")]
    pub heads: Vec<Head>,
    /// A prompt of a zero-shot class, which gives a column with its probability; may be given again
    #[arg(long = "class", value_name = "NAME=PROMPT", value_parser = parse_class)]
    pub classes: Vec<(String, String)>,
    /// The arithmetic; bf16 casts the weights once
    #[arg(long, value_enum, default_value_t = Precision::Fp32)]
    pub precision: Precision,
    /// Threads of libtorch [default: one for each processor]
    #[arg(long)]
    pub threads: Option<usize>,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,
}

impl ScorerArgs {
    /// The prompts of each class, in the order in which the classes are first named.
    pub fn prompts(&self) -> Vec<(String, Vec<String>)> {
        let mut classes: Vec<(String, Vec<String>)> = Vec::new();
        for (name, prompt) in &self.classes {
            match classes.iter_mut().find(|(known, _)| known == name) {
                Some((_, prompts)) => prompts.push(prompt.clone()),
                None => classes.push((name.clone(), vec![prompt.clone()])),
            }
        }
        classes
    }
}

/// What a build asks of a scorer's process.
#[derive(clap::Args)]
pub struct ServeScoresArgs {
    /// The scorer.
    #[command(flatten)]
    pub scorer: ScorerArgs,
    /// Answer with the embeddings of each pair, too
    #[arg(long)]
    pub embeddings: bool,
}

/// Arguments of `clip-data score`.
#[derive(clap::Args)]
pub struct ScoreArgs {
    /// Shards (files, folders, globs, braces), or folders of images with captions beside them
    #[arg(required = true, value_name = "SHARDS")]
    pub shards: Vec<String>,
    /// The scorer.
    #[command(flatten)]
    pub scorer: ScorerArgs,
    /// The folder for the tables
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// What the columns of similarities begin with: clip gives clip_similarity
    #[arg(long, default_value = "clip")]
    pub name: String,
    /// Pairs that are scored at a time
    #[arg(long, default_value_t = clip_score::CHUNK, value_parser = at_least_one)]
    pub batch_size: usize,
}
