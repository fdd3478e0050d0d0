//! Arguments of `clip-data convert`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::ModelPath;

/// Arguments of `clip-data convert`.
#[derive(clap::Args)]
pub struct ConvertArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelPath,
    /// A folder for open-clip and hugging-face, a .pt or .safetensors file for the others
    #[arg(short, long, value_name = "PATH", alias = "output")]
    pub out: PathBuf,
    /// The format
    #[arg(long, value_enum)]
    pub to: To,
    /// The weights' type
    #[arg(long, value_enum, default_value_t = Dtype::Float32)]
    pub dtype: Dtype,
}

/// Formats that are written.
#[derive(Clone, Copy, ValueEnum)]
pub enum To {
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
pub enum Dtype {
    /// As models are trained
    Float32,
    /// Half the size
    Float16,
    /// Half the size, with float32's range
    Bfloat16,
}
