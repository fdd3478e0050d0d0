//! Arguments of `clip-data embed`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::ModelPath;
use crate::at_least_one;

/// Arguments of `clip-data embed`.
#[derive(clap::Args)]
pub struct EmbedArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelPath,
    /// Shards (files, folders, globs, braces), a folder of images, or a .txt file with a text a
    /// line
    #[arg(long, value_name = "SPEC")]
    pub input: String,
    /// The folder for img_emb/, text_emb/ and metadata/
    #[arg(short, long, value_name = "DIR", aliases = ["output", "output_folder"])]
    pub out: PathBuf,
    /// Embed the images only, or the texts only, where the input has both
    #[arg(long, value_enum)]
    pub only: Option<Only>,
    /// The arithmetic; bf16 casts the weights once
    #[arg(long, value_enum, default_value_t = Precision::Fp32)]
    pub precision: Precision,
    /// How the embeddings are stored
    #[arg(long, value_enum, default_value_t = Numbers::Float16)]
    pub numbers: Numbers,
    /// Items that are encoded at a time
    #[arg(long, default_value_t = 64, value_parser = at_least_one)]
    pub batch_size: usize,
    /// Images or lines in a file, where the input is no shards (which give a file each)
    #[arg(long, default_value_t = 10_000, value_parser = at_least_one)]
    pub write_batch_size: usize,
    /// Threads of libtorch [default: one for each processor]
    #[arg(long)]
    pub threads: Option<usize>,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,
}

/// One half of the input.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Only {
    /// The images
    Image,
    /// The texts
    Text,
}

/// The type of weights and activations.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// float32
    Fp32,
    /// bfloat16
    Bf16,
}

/// The type of stored numbers.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Numbers {
    /// clip-retrieval's
    Float16,
    /// As they are computed
    Float32,
}
