//! CLIP's vision and text transformers; weights in and out.

mod clip;
mod config;
mod error;
mod init;
mod params;
mod transformer;
mod vit;
mod weights;

pub use clip::Clip;
pub use config::{ModelConfig, TextConfig, VisionConfig};
pub use error::{Error, Result};
pub use params::Params;
pub use weights::{
    MEAN, MODEL_FILE, STD, load_checkpoint, read_safetensors, save_checkpoint, write_safetensors,
};
