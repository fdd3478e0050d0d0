//! `clip-data embed`: images and texts to embeddings.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Context;
use clap::ValueEnum;
use clip_embed::{Encoder, Input, NumberType, Options, run as embed};
use clip_model::{LoadOptions, Weights};
use clip_torch::tch::Kind;
use serde_json::json;

use crate::model::ModelPath;
use crate::{device, exit};

/// Arguments of `clip-data embed`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelPath,
    /// Shards (files, folders, globs, braces), a folder of images, or a .txt file with a text a
    /// line
    #[arg(long, value_name = "SPEC")]
    input: String,
    /// The folder for img_emb/, text_emb/ and metadata/
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Embed the images only, or the texts only, where the input has both
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// The arithmetic; bf16 casts the weights once
    #[arg(long, value_enum, default_value_t = Precision::Fp32)]
    precision: Precision,
    /// How the embeddings are stored
    #[arg(long, value_enum, default_value_t = Numbers::Float16)]
    numbers: Numbers,
    /// Items that are encoded at a time
    #[arg(long, default_value_t = 64)]
    batch_size: usize,
    /// Images or lines in a file, where the input is no shards (which give a file each)
    #[arg(long, default_value_t = 10_000)]
    write_batch_size: usize,
    /// Threads of libtorch [default: one for each processor]
    #[arg(long)]
    threads: Option<usize>,
    /// auto, cpu or cuda
    #[arg(long, default_value = "auto")]
    device: String,
}

/// One half of the input.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Only {
    Image,
    Text,
}

/// The type of weights and activations.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Precision {
    Fp32,
    Bf16,
}

/// The type of stored numbers.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Numbers {
    Float16,
    Float32,
}

/// Embeds what is not embedded yet.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    clip_torch::init(args.threads)?;
    let device = device(&args.device)?;
    let mut input = Input::open(&args.input, args.write_batch_size)?;
    match args.only {
        Some(Only::Image) if !input.images => {
            anyhow::bail!("--only image: {} has texts only", args.input)
        }
        Some(Only::Text) if !input.texts => {
            anyhow::bail!("--only text: {} has images only", args.input)
        }
        Some(Only::Image) => input.texts = false,
        Some(Only::Text) => input.images = false,
        None => {}
    }
    let kind = if args.precision == Precision::Bf16 { Kind::BFloat16 } else { Kind::Float };
    let opening = LoadOptions { device, ..args.model.opening()? };
    let weights = Weights::read(&args.model.path()?)?;
    let files = clip_model::weights_files(&weights.path)?;
    let file: u64 = files.iter().filter_map(|file| Some(file.metadata().ok()?.len())).sum();
    let identity = json!({
        "model": weights.path, "bytes": file, "image_size": opening.image_size,
        "precision": if kind == Kind::BFloat16 { "bf16" } else { "fp32" },
        "numbers": if args.numbers == Numbers::Float16 { "float16" } else { "float32" },
        "preprocess": weights.preprocess(&opening.preprocess)?.to_json(),
        "input": args.input, "images": input.images, "texts": input.texts,
        "parts": input.parts.len(), "write_batch_size": args.write_batch_size,
    });
    let weights_path = weights.path.clone();
    let encoder = Encoder::new(weights.build(&opening)?.for_inference(kind));
    let options = Options {
        output: args.output.clone(),
        numbers: if args.numbers == Numbers::Float16 {
            NumberType::Float16
        } else {
            NumberType::Float32
        },
        batch: args.batch_size.max(1),
        identity: format!("{identity:#}\n"),
    };
    let stop = clip_cli::stop_flag(exit::STOPPING)?;
    let (started, done) = (Instant::now(), AtomicUsize::new(0));
    let shown = |rows: usize| {
        let done = done.fetch_add(rows, Ordering::Relaxed) + rows;
        eprint!(
            "\rembed: {done} rows, {:.0} a second",
            done as f64 / started.elapsed().as_secs_f64()
        );
        !stop.load(Ordering::Relaxed)
    };
    let summary = match embed(&input, &encoder, &options, &shown) {
        Err(error @ clip_embed::Error::Output(_)) => {
            return Err(error).with_context(|| weights_path.display().to_string());
        }
        summary => summary?,
    };
    eprintln!();
    let Some(summary) = summary else {
        eprintln!("interrupted: run the same command again to resume");
        return Ok(ExitCode::from(exit::INTERRUPTED));
    };
    if summary.reused > 0 {
        eprintln!("{} of {} parts lay there already", summary.reused, input.parts.len());
    }
    if summary.rejects > 0 {
        let folder = args.output.join("rejects");
        eprintln!("{} items could not be embedded: {} says why", summary.rejects, folder.display());
    }
    println!("{} rows in {}", summary.rows, args.output.display());
    Ok(ExitCode::SUCCESS)
}
