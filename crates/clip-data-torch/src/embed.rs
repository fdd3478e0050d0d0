//! `clip-data embed`: images and texts to embeddings.

use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::Context;
use clip_cli::torch::{EmbedArgs, Numbers, Only, Precision};
use clip_embed::{Encoder, Input, NumberType, Options, run as embed};
use clip_model::{LoadOptions, Weights};
use clip_torch::tch::Kind;
use serde_json::json;

use crate::device::device;
use crate::exit;
use crate::model::{load_options, model_identity, weights_path};
use crate::row_progress::RowProgress;

/// Embeds what is not embedded yet.
pub fn run(args: EmbedArgs) -> anyhow::Result<ExitCode> {
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
    let opening = LoadOptions { device, ..load_options(&args.model.options)? };
    let weights = Weights::read(&weights_path(&args.model)?)?;
    let identity = json!({
        "model": model_identity(&weights, &opening)?,
        "precision": if kind == Kind::BFloat16 { "bf16" } else { "fp32" },
        "numbers": if args.numbers == Numbers::Float16 { "float16" } else { "float32" },
        "input": args.input, "images": input.images, "texts": input.texts,
        "parts": input.parts.len(), "write_batch_size": args.write_batch_size,
    });
    let weights_path = weights.path.clone();
    let encoder = Encoder::new(weights.into_model(&opening)?.for_inference(kind));
    let options = Options {
        output: args.out.clone(),
        numbers: if args.numbers == Numbers::Float16 {
            NumberType::Float16
        } else {
            NumberType::Float32
        },
        batch: args.batch_size,
        identity: format!("{identity:#}\n"),
    };
    let stop = clip_cli::stop_flag(exit::STOPPING)?;
    let progress = RowProgress::new("embed", "row");
    let shown = |rows: usize| {
        progress.add(rows);
        !stop.load(Ordering::Relaxed)
    };
    let summary = match embed(&input, &encoder, &options, &shown) {
        Err(error @ clip_embed::Error::Output(_)) => {
            return Err(error).with_context(|| weights_path.display().to_string());
        }
        summary => summary?,
    };
    Ok(progress.report(summary, input.parts.len(), &args.out))
}
