//! Weights on disk: safetensors with open_clip's names, in open_clip's `local-dir:` layout.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use clip_torch::tch::{Device, Kind, Tensor};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::json;

use crate::{Clip, Error, ModelConfig, Result};

/// The weights' file in a checkpoint's folder.
pub const MODEL_FILE: &str = "open_clip_model.safetensors";
const CONFIG_FILE: &str = "open_clip_config.json";
/// CLIP's pixel mean and standard deviation (OpenAI CLIP, `clip.py`).
pub const MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// See [`MEAN`].
pub const STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// Reads all tensors of a safetensors file, memory-mapped, by name.
pub fn read_safetensors(path: &Path) -> Result<Vec<(String, Tensor)>> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| Error::file(path, e))?;
    let mut tensors = Vec::new();
    for (name, view) in file.tensors() {
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::F64 => Kind::Double,
            Dtype::I64 => Kind::Int64,
            other => return Err(Error::file(path, format!("{name} has the type {other:?}"))),
        };
        let shape: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
        tensors.push((name, Tensor::f_from_data_size(view.data(), &shape, kind)?));
    }
    Ok(tensors)
}

/// Writes f32 tensors as a safetensors file, whole or not at all.
pub fn write_safetensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    let mut bytes: BTreeMap<&str, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for (name, tensor) in tensors {
        let flat =
            tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous().view([-1]);
        let values: Vec<f32> = Vec::try_from(flat)?;
        let shape = tensor.size().iter().map(|&side| side as usize).collect();
        bytes.insert(name, (shape, values.iter().flat_map(|value| value.to_le_bytes()).collect()));
    }
    let views: std::result::Result<Vec<_>, _> = bytes
        .iter()
        .map(|(name, (shape, data))| Ok((*name, TensorView::new(Dtype::F32, shape.clone(), data)?)))
        .collect();
    let views = views.map_err(|e: safetensors::SafeTensorError| Error::file(path, e))?;
    // open_clip and transformers look for this mark.
    let mark = Some([("format".to_owned(), "pt".to_owned())].into());
    let whole = safetensors::serialize(views, mark).map_err(|e| Error::file(path, e))?;
    let temporary = path.with_extension("tmp");
    std::fs::write(&temporary, whole).map_err(|e| Error::io(&temporary, e))?;
    let synced = File::open(&temporary).and_then(|file| file.sync_all());
    synced.map_err(|e| Error::io(&temporary, e))?;
    std::fs::rename(&temporary, path).map_err(|e| Error::io(path, e))
}

/// Writes a folder that `open_clip.create_model_and_transforms("local-dir:…")` opens.
pub fn save_checkpoint(folder: &Path, model: &Clip) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let preprocess =
        json!({"mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "shortest"});
    let config = json!({"model_cfg": model.config(), "preprocess_cfg": preprocess});
    let path = folder.join(CONFIG_FILE);
    std::fs::write(&path, format!("{config:#}\n")).map_err(|e| Error::io(&path, e))?;
    write_safetensors(&folder.join(MODEL_FILE), model.named_parameters())
}

/// Opens a folder written by [`save_checkpoint`] or by open_clip.
pub fn load_checkpoint(folder: &Path, device: Device) -> Result<Clip> {
    let config_path = folder.join(CONFIG_FILE);
    let config = ModelConfig::read(&config_path)?;
    let mut model = Clip::new(&config, device);
    model.load(&read_safetensors(&folder.join(MODEL_FILE))?)?;
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TextConfig, VisionConfig};

    #[test]
    fn a_checkpoint_comes_back_whole_and_a_wrong_one_is_refused() {
        let vision_cfg =
            VisionConfig { image_size: 8, layers: 1, width: 16, patch_size: 4, head_width: 8 };
        let text_cfg =
            TextConfig { context_length: 6, vocab_size: 30, width: 8, heads: 1, layers: 1 };
        let config = ModelConfig { embed_dim: 8, quick_gelu: true, vision_cfg, text_cfg };
        let model = Clip::new(&config, Device::Cpu);
        let folder = tempfile::tempdir().unwrap();
        save_checkpoint(folder.path(), &model).unwrap();
        let again = load_checkpoint(folder.path(), Device::Cpu).unwrap();
        assert_eq!(again.config(), &config);
        for ((name, a), (_, b)) in model.named_parameters().iter().zip(again.named_parameters()) {
            assert!(a.equal(b), "{name}");
        }
        let mut wider = config;
        wider.embed_dim = 16;
        let weights = read_safetensors(&folder.path().join(MODEL_FILE)).unwrap();
        let message = Clip::new(&wider, Device::Cpu).load(&weights).unwrap_err().to_string();
        assert!(
            message.contains("text_projection is [8, 8], the model wants [8, 16]"),
            "{message}"
        );
        std::fs::write(folder.path().join(MODEL_FILE), b"cut").unwrap();
        assert!(load_checkpoint(folder.path(), Device::Cpu).is_err());
    }
}
