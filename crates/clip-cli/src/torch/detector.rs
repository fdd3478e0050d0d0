//! Arguments of `clip-data detector`.

use std::path::PathBuf;

use clap::Subcommand;

use crate::at_least_one;

/// What can be done with a detector.
#[derive(Subcommand)]
pub enum DetectorTask {
    /// Train one on any corpus
    Train(DetectorTrainArgs),
    /// Answer images on standard input with vectors on standard output, as `clip-data
    /// contamination` asks
    #[command(hide = true)]
    Serve {
        /// The detector's folder
        #[arg(long)]
        model: PathBuf,
        /// auto, cpu, cuda or cuda:N
        #[arg(long, default_value = "auto")]
        device: String,
    },
}

/// Arguments of `clip-data detector train`.
#[derive(clap::Args)]
pub struct DetectorTrainArgs {
    /// Images to train on, as `clip-data contamination --corpus` takes them; may be given again
    #[arg(long, value_name = "PATH", required = true)]
    pub corpus: Vec<String>,
    /// Where the detector goes
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// small (two cores, half an hour), resnet50 (the paper's, for a GPU), or a detector.json
    #[arg(long, default_value = "small")]
    pub preset: String,
    /// Most images that are kept in memory
    #[arg(long, default_value_t = 100_000, alias = "pictures")]
    pub images: usize,
    /// Images in a batch; the paper's is 1712
    #[arg(long, default_value_t = 256, value_parser = at_least_one)]
    pub batch_size: usize,
    /// Steps in all
    #[arg(long, default_value_t = 3_000)]
    pub steps: u64,
    /// Stop after this many minutes, with the learning rate lowered towards the end all the same
    #[arg(long)]
    pub max_minutes: Option<f64>,
    /// Peak learning rate
    #[arg(long, default_value_t = 2e-3)]
    pub lr: f64,
    /// Seed of weights, order and alterations
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// auto, amp_bf16 or fp32
    #[arg(long, default_value = "auto")]
    pub precision: String,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,
}
