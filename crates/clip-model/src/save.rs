//! Writing weights in the formats that others read.

use std::path::{Path, PathBuf};

use clip_format::write_atomic;
use clip_image::ResizeMode;
use serde_json::json;

use crate::beside::CONFIGS;
use crate::hugging_face::{from_open_clip, write_config};
use crate::open::FILES;
use crate::processor::{PROCESSOR_FILE, write_processor};
use crate::pt::{Value, write_pt};
use crate::weights::write_safetensors_with;
use crate::{Clip, Error, Interpolation, PreprocessCfg, Result, save_checkpoint};

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A folder of open_clip's `local-dir:` layout.
    OpenClip,
    /// A folder of transformers' `CLIPModel`.
    HuggingFace,
    /// A safetensors file with OpenAI's and open_clip's names; its metadata names the model.
    Safetensors,
    /// A bare state dict for `torch.load`.
    Pt,
}

/// What is at the path of a new model already and would be replaced, or be a second model in its
/// folder: the file, or weights, a configuration or a run's checkpoints in the folder.
pub fn occupied(path: &Path, target: Target) -> Option<PathBuf> {
    let is_folder = matches!(target, Target::OpenClip | Target::HuggingFace) && path.is_dir();
    if !is_folder {
        return path.exists().then(|| path.to_path_buf());
    }
    let names = FILES.iter().chain(&CONFIGS).chain(&["checkpoints"]);
    names.map(|name| path.join(name)).find(|path| path.exists())
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
            let (model_cfg, preprocess_cfg) = (json!(model.config()), model.preprocess().to_json());
            let settings = [("model_cfg", model_cfg), ("preprocess_cfg", preprocess_cfg)];
            write_safetensors_with(path, model.state_dict(), &settings)
        }
        Target::Pt => write_pt(path, &Value::state_dict(model.state_dict())),
    }
}

/// The fields of a `preprocess_cfg` that its readers do not find in a format, with their values:
/// those that are not OpenAI's.
pub fn lost_fields(preprocess: &PreprocessCfg, target: Target) -> Vec<String> {
    let plain = PreprocessCfg::default();
    let kept = match target {
        Target::OpenClip => *preprocess,
        // transformers has neither a choice of kernels nor padding.
        Target::HuggingFace => {
            let longest = preprocess.resize_mode == ResizeMode::Longest;
            let random = preprocess.interpolation == Interpolation::Random;
            PreprocessCfg {
                interpolation: if random { plain.interpolation } else { preprocess.interpolation },
                resize_mode: if longest { plain.resize_mode } else { preprocess.resize_mode },
                fill_color: plain.fill_color,
                ..*preprocess
            }
        }
        Target::Safetensors | Target::Pt => plain,
    };
    let (own, kept) = (preprocess.to_json(), kept.to_json());
    let fields = own.as_object().into_iter().flatten();
    let lost = fields.filter(|(field, value)| kept[field.as_str()] != **value);
    lost.map(|(field, value)| format!("{field} {value}")).collect()
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
    let processor = write_processor(model.preprocess(), size);
    for (name, json) in [("config.json", &config), (PROCESSOR_FILE, &processor)] {
        write_atomic(&folder.join(name), format!("{json:#}\n").as_bytes())?;
    }
    write_safetensors_with(&folder.join("model.safetensors"), &weights, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_other_files_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, file) = (dir.path(), dir.path().join("README.md"));
        std::fs::write(&file, "").unwrap();
        for target in [Target::OpenClip, Target::HuggingFace] {
            assert_eq!(occupied(folder, target), None);
            assert_eq!(occupied(&file, target).as_ref(), Some(&file));
        }
        assert_eq!(occupied(folder, Target::Pt).as_deref(), Some(folder));
        assert_eq!(occupied(&folder.join("new.pt"), Target::Pt), None);
        for name in ["pytorch_model.bin", "config.json", "checkpoints"] {
            std::fs::write(folder.join(name), "").unwrap();
            assert_eq!(occupied(folder, Target::OpenClip), Some(folder.join(name)));
            std::fs::remove_file(folder.join(name)).unwrap();
        }
    }

    #[test]
    fn what_a_format_cannot_hold_is_named() {
        let (mean, fill_color) = ([0.5; 3], 9);
        let padded = PreprocessCfg {
            mean,
            resize_mode: ResizeMode::Longest,
            fill_color,
            ..PreprocessCfg::default()
        };
        let squash = PreprocessCfg { resize_mode: ResizeMode::Squash, fill_color: 0, ..padded };
        let lost = |cfg: &PreprocessCfg, target| lost_fields(cfg, target).join("; ");
        let all = "mean [0.5,0.5,0.5]; resize_mode \"longest\"; fill_color 9";
        assert_eq!(lost(&padded, Target::Pt), all);
        assert_eq!(lost(&padded, Target::Safetensors), all);
        assert_eq!(lost(&padded, Target::HuggingFace), "resize_mode \"longest\"; fill_color 9");
        assert_eq!(lost(&squash, Target::HuggingFace), "");
        assert_eq!(lost(&padded, Target::OpenClip), "");
        for target in [Target::OpenClip, Target::HuggingFace, Target::Safetensors, Target::Pt] {
            assert_eq!(lost(&PreprocessCfg::default(), target), "");
        }
    }
}
