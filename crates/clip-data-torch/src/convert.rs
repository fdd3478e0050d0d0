//! `clip-data convert`: weights from one format to another.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use clip_model::{LoadOptions, Target, lost_fields, save_as};
use clip_torch::tch::Kind;

use crate::model::ModelPath;

/// Arguments of `clip-data convert`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelPath,
    /// A folder for open-clip and hugging-face, a .pt or .safetensors file for the others
    #[arg(long, value_name = "PATH")]
    output: PathBuf,
    /// The format
    #[arg(long, value_enum)]
    to: To,
    /// The weights' type
    #[arg(long, value_enum, default_value_t = Dtype::Float32)]
    dtype: Dtype,
}

/// Formats that are written.
#[derive(Clone, Copy, ValueEnum)]
enum To {
    /// A folder that `open_clip.create_model_and_transforms("local-dir:…")` opens
    OpenClip,
    /// A folder that transformers' `CLIPModel.from_pretrained` opens (vision transformers only)
    HuggingFace,
    /// One safetensors file with OpenAI's names, which are open_clip's
    Safetensors,
    /// One file that `torch.load` opens: a bare state dict with OpenAI's names
    Pt,
}

/// Floating types.
#[derive(Clone, Copy, ValueEnum)]
enum Dtype {
    Float32,
    Float16,
    Bfloat16,
}

/// Reads, checks and writes.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    clip_torch::init(None)?;
    let kind = match args.dtype {
        Dtype::Float32 => Kind::Float,
        Dtype::Float16 => Kind::Half,
        Dtype::Bfloat16 => Kind::BFloat16,
    };
    let opening = LoadOptions { kind, ..args.model.opening()? };
    let model = clip_model::open(&args.model.path()?, &opening)?;
    let target = match args.to {
        To::OpenClip => Target::OpenClip,
        To::HuggingFace => Target::HuggingFace,
        To::Safetensors => Target::Safetensors,
        To::Pt => Target::Pt,
    };
    save_as(&args.output, &model, target)?;
    let (count, activation) = (model.parameter_count(), model.config().quick_gelu);
    let activation = if activation { "QuickGELU" } else { "exact GELU" };
    println!("{}: {count} parameters, {activation}", args.output.display());
    let lost = lost_fields(model.preprocess(), target);
    if !lost.is_empty() {
        eprintln!("note: {}", loss_note(target, &lost.join(", ")));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the readers of a format must be told of a model's `preprocess_cfg`.
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
