//! `clip-data convert`: weights from one format to another.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{bail, ensure};
use clip_cli::torch::{ConvertArgs, Dtype, ModelPath, To};
use clip_model::{Clip, LoadOptions, Target, interpolate, lost_fields, occupied, save_as};
use clip_torch::tch::Kind;

use crate::model::{load_options, weights_path};

/// Reads, checks and writes.
pub fn run(args: ConvertArgs) -> anyhow::Result<ExitCode> {
    let target = match args.to {
        To::OpenClip => Target::OpenClip,
        To::HuggingFace => Target::HuggingFace,
        To::Safetensors => Target::Safetensors,
        To::Pt => Target::Pt,
    };
    if let Some(there) = occupied(&args.out, target) {
        bail!(
            "--out {}: {} is there already\nhint: give another name, or remove it first",
            args.out.display(),
            there.display()
        );
    }
    check_ending(&args.out, target)?;
    clip_torch::init(None)?;
    let kind = match args.dtype {
        Dtype::Float32 => Kind::Float,
        Dtype::Float16 => Kind::Half,
        Dtype::Bfloat16 => Kind::BFloat16,
    };
    let model = model(&args, kind)?;
    save_as(&args.out, &model, target)?;
    let (count, activation) = (model.parameter_count(), model.config().quick_gelu);
    let activation = if activation { "QuickGELU" } else { "exact GELU" };
    println!("{}: {count} parameters, {activation}", args.out.display());
    if target == Target::HuggingFace && model.has_logit_bias() {
        note!(
            "note: transformers' CLIP has no logit_bias (of the sigmoid loss): it is left out; embeddings and rankings do without"
        );
    }
    let lost = lost_fields(model.preprocess(), target);
    if !lost.is_empty() {
        note!("note: {}", loss_note(target, &lost.join(", ")));
    }
    Ok(ExitCode::SUCCESS)
}

/// Files are known by their endings when they are read again.
fn check_ending(out: &Path, target: Target) -> anyhow::Result<()> {
    let ending = out.extension().and_then(|ending| ending.to_str());
    let (what, good) = match target {
        Target::OpenClip | Target::HuggingFace => {
            ("a folder", !matches!(ending, Some("pt" | "pth" | "bin" | "safetensors")))
        }
        Target::Safetensors => ("a .safetensors file", ending == Some("safetensors")),
        Target::Pt => ("a .pt file", matches!(ending, Some("pt" | "pth" | "bin"))),
    };
    ensure!(good, "--out {}: {what} is written\nhint: --to names another format", out.display());
    Ok(())
}

/// The weights of --model, or those between them and --interpolate's.
fn model(args: &ConvertArgs, kind: Kind) -> anyhow::Result<Clip> {
    let opening = load_options(&args.model.options)?;
    let Some(before) = &args.interpolate else {
        return Ok(clip_model::open(
            &weights_path(&args.model)?,
            &LoadOptions { kind, ..opening },
        )?);
    };
    let before = ModelPath { model: before.clone(), ..args.model.clone() };
    let [before, tuned] = [&before, &args.model].map(|model| -> anyhow::Result<Clip> {
        Ok(clip_model::open(&weights_path(model)?, &opening)?)
    });
    // What the caller named is wrong, and no file is.
    interpolate(&before?, &tuned?, args.alpha, kind)
        .map_err(|error| anyhow::anyhow!("--interpolate: {error}"))
}

/// What the readers of a format must be given of a model's `preprocess_cfg`.
fn loss_note(target: Target, lost: &str) -> String {
    let hint = "hint: say so where the weights are used, as in --image-mean 0.5 0.5 0.5";
    match target {
        Target::OpenClip => String::new(),
        Target::HuggingFace => format!(
            "transformers' CLIPImageProcessor cannot hold {lost}: its file has the default in that place"
        ),
        Target::Safetensors => format!(
            "clip-data finds the model's preprocess_cfg in the file, and no other program does: {lost}\n{hint}"
        ),
        Target::Pt => format!("the file cannot hold the model's preprocess_cfg: {lost}\n{hint}"),
    }
}
