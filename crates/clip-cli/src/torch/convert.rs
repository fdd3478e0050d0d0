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
    /// WiSE-FT: other weights of the same model, those from before it was fine-tuned; what is
    /// written is between them and --model's
    #[arg(long, value_name = "PATH")]
    pub interpolate: Option<PathBuf>,
    /// How far it is from them, as in the paper: 0 is --interpolate's weights, 1 is --model's
    #[arg(long, default_value_t = 0.5, value_name = "SHARE", requires = "interpolate", value_parser = share)]
    pub alpha: f64,
    /// A folder for open-clip and hugging-face, a .pt or .safetensors file for the others; nothing
    /// that is there is replaced
    #[arg(short, long, value_name = "PATH", alias = "output")]
    pub out: PathBuf,
    /// The format
    #[arg(long, value_enum)]
    pub to: To,
    /// The weights' type
    #[arg(long, value_enum, default_value_t = Dtype::Float32)]
    pub dtype: Dtype,
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "a number from 0 to 1 is wanted".into())
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
