//! CLIP's image and text towers; weights in and out.
//!
//! ```
//! let config = clip_model::ModelConfig::find("ViT-B-32")?;
//! assert_eq!(config.embed_dim, 512);
//! // Patches a side.
//! assert_eq!(config.vision_cfg.grid(), 7);
//! # Ok::<(), clip_model::Error>(())
//! ```

mod beside;
mod clip;
mod config;
mod error;
mod file;
mod hub;
mod hugging_face;
mod infer;
mod init;
mod interpolate;
mod layers;
mod limits;
mod linear_map;
mod open;
mod paper;
mod params;
mod pass;
mod pixels;
mod positions;
mod preprocess;
mod processor;
pub mod pt;
mod resnet;
mod save;
mod scale;
mod tower;
mod training;
mod transformer;
mod vit;
mod weight_mismatch;
mod weights;

pub use clip::Clip;
pub use clip_image::preprocess_cfg::{Interpolation, MEAN, PreprocessCfg, STD};
pub use config::{Depth, ModelConfig, TextConfig, VisionConfig};
pub use error::{Error, Result};
pub use hub::{Pretrained, find_in_hub, find_pretrained};
pub use infer::infer_config;
pub use interpolate::interpolate;
pub use layers::Mode;
pub use open::{Format, LoadOptions, Weights, load_checkpoint, open, weights_files};
pub use paper::NAMES;
pub use pass::PatchDropout;
pub use pixels::image_bytes;
pub use positions::interpolate_positions;
pub use preprocess::preprocess_fields;
pub use save::{Target, lost_fields, occupied, save_as};
pub use tower::Tower;
pub use weights::{MODEL_FILE, read_safetensors, save_checkpoint, write_safetensors};
