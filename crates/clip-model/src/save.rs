//! Writing weights in the formats that others read.

use std::path::Path;

use serde_json::json;

use crate::hugging_face::{from_open_clip, write_config};
use crate::pt::{Value, write_pt};
use crate::weights::write_safetensors_with;
use crate::{Clip, Error, MEAN, Result, STD, save_checkpoint};

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A folder of open_clip's `local-dir:` layout.
    OpenClip,
    /// A folder of transformers' `CLIPModel`.
    HuggingFace,
    /// A safetensors file with OpenAI's and open_clip's names; its remarks tell the model.
    Safetensors,
    /// A bare state dict for `torch.load`.
    Pt,
}

/// Writes a model.
///
/// # Errors
/// When the format has no such model, or the path cannot be written.
pub fn save_as(path: &Path, model: &Clip, target: Target) -> Result<()> {
    match target {
        Target::OpenClip => save_checkpoint(path, model),
        Target::HuggingFace => save_hugging_face(path, model),
        Target::Safetensors => {
            write_safetensors_with(path, model.state_dict(), Some(model.config()))
        }
        Target::Pt => write_pt(path, &Value::state_dict(model.state_dict())),
    }
}

fn save_hugging_face(folder: &Path, model: &Clip) -> Result<()> {
    let config = write_config(model.config())?;
    // transformers' CLIP has no bias of the sigmoid loss; embeddings and rankings do without.
    let state = model.state_dict().iter().filter(|(name, _)| name != "logit_bias");
    let state: Vec<_> =
        state.map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
    let weights = from_open_clip(&state)?;
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let size = model.config().vision_cfg.image_size;
    let preprocessor = json!({
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": true,
        "do_resize": true,
        "size": {"shortest_edge": size},
        "resample": 3,
        "do_center_crop": true,
        "crop_size": {"height": size, "width": size},
        "do_rescale": true,
        "do_normalize": true,
        "image_mean": MEAN,
        "image_std": STD,
    });
    for (name, json) in [("config.json", &config), ("preprocessor_config.json", &preprocessor)] {
        let file = folder.join(name);
        std::fs::write(&file, format!("{json:#}\n")).map_err(|e| Error::io(&file, e))?;
    }
    write_safetensors_with(&folder.join("model.safetensors"), &weights, None)
}
