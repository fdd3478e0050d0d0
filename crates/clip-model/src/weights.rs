//! Weights on disk: safetensors with open_clip's names, in open_clip's `local-dir:` layout.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use clip_torch::Mapping;
use clip_torch::tch::{Kind, Tensor};
use safetensors::{Dtype, SafeTensors};
use serde_json::json;

use crate::file::{bytes_of, write_atomic};
use crate::params::Named;
use crate::{Clip, Error, Result};

/// The weights' file in a checkpoint's folder.
pub const MODEL_FILE: &str = "open_clip_model.safetensors";
pub(crate) const CONFIG_FILE: &str = "open_clip_config.json";

/// The types that both libtorch and safetensors have.
const TYPES: [(Dtype, Kind); 10] = [
    (Dtype::F32, Kind::Float),
    (Dtype::F16, Kind::Half),
    (Dtype::BF16, Kind::BFloat16),
    (Dtype::F64, Kind::Double),
    (Dtype::I64, Kind::Int64),
    (Dtype::I32, Kind::Int),
    (Dtype::I16, Kind::Int16),
    (Dtype::I8, Kind::Int8),
    (Dtype::U8, Kind::Uint8),
    (Dtype::BOOL, Kind::Bool),
];

/// Reads all tensors of a safetensors file, by name. They are views of the file's pages, which are
/// mapped and not copied; writing to them changes nothing on disk.
pub fn read_safetensors(path: &Path) -> Result<Vec<(String, Tensor)>> {
    Ok(read_safetensors_with(path)?.0)
}

/// As [`read_safetensors`], with the file's own remarks.
pub(crate) fn read_safetensors_with(path: &Path) -> Result<(Named, HashMap<String, String>)> {
    let mapping = Mapping::open(path).map_err(|e| Error::io(path, e))?;
    let bytes = mapping.bytes();
    let file = SafeTensors::deserialize(bytes).map_err(|e| {
        let hint = "hint: the file is no safetensors file, or was not copied or written to its end";
        Error::file(path, format!("{e}\n{hint}"))
    })?;
    let header = SafeTensors::read_metadata(bytes).map_err(|e| Error::file(path, e))?.1;
    let remarks = header.metadata().clone().unwrap_or_default();
    let mut tensors = Vec::new();
    for (name, view) in file.tensors() {
        let kind = TYPES.iter().find(|(dtype, _)| *dtype == view.dtype()).map(|(_, kind)| *kind);
        let kind = kind
            .ok_or_else(|| Error::file(path, format!("{name} has the type {:?}", view.dtype())))?;
        let shape: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
        let offset = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
        tensors.push((name, mapping.tensor(offset, &shape, kind)?));
    }
    Ok((tensors, remarks))
}

/// Writes tensors in their types as a safetensors file, whole or not at all.
pub fn write_safetensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    write_safetensors_with(path, tensors, &[])
}

/// As [`write_safetensors`], with settings of the model that the weights are of in the file's
/// remarks, by name.
pub(crate) fn write_safetensors_with(
    path: &Path,
    tensors: &[(String, Tensor)],
    settings: &[(&str, serde_json::Value)],
) -> Result<()> {
    let mut typed = Vec::new();
    for (name, tensor) in tensors {
        let dtype = TYPES.iter().find(|(_, kind)| *kind == tensor.kind()).map(|(dtype, _)| *dtype);
        let dtype = dtype
            .ok_or_else(|| Error::file(path, format!("{name} has the type {:?}", tensor.kind())))?;
        typed.push((dtype, name, tensor));
    }
    // The widest types first, so that all are aligned; then by name, so that the bytes are the same
    // every time.
    typed.sort_by_key(|(dtype, name, _)| (std::cmp::Reverse(dtype.bitsize()), *name));
    let mut header = serde_json::Map::new();
    // open_clip and transformers look for this mark.
    let mut remarks = json!({"format": "pt"});
    for (name, setting) in settings {
        remarks[*name] = setting.to_string().into();
    }
    header.insert("__metadata__".into(), remarks);
    let mut end = 0;
    for (dtype, name, tensor) in &typed {
        let start = end;
        end += tensor.numel() * tensor.kind().elt_size_in_bytes();
        let entry = json!({"dtype": dtype, "shape": tensor.size(), "data_offsets": [start, end]});
        header.insert((*name).clone(), entry);
    }
    let mut header = serde_json::to_vec(&header).map_err(|e| Error::file(path, e))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    write_atomic(path, |file| {
        let mut put = |bytes: &[u8]| file.write_all(bytes).map_err(|e| Error::io(path, e));
        put(&(header.len() as u64).to_le_bytes())?;
        put(&header)?;
        typed.iter().try_for_each(|(_, _, tensor)| put(&bytes_of(tensor)?))
    })
}

/// Writes a folder that `open_clip.create_model_and_transforms("local-dir:…")` opens.
pub fn save_checkpoint(folder: &Path, model: &Clip) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let (model_cfg, preprocess_cfg) = (json!(model.config()), model.preprocess().to_json());
    let mut config = json!({"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg});
    if model.logit_bias().is_some() {
        // open_clip gives a model the parameter, whose value is in the weights, when it finds this.
        config["model_cfg"]["init_logit_bias"] = (-10).into();
    }
    let path = folder.join(CONFIG_FILE);
    clip_format::write_atomic(&path, format!("{config:#}\n").as_bytes())?;
    let settings = [("model_cfg", model_cfg)];
    write_safetensors_with(&folder.join(MODEL_FILE), model.state_dict(), &settings)
}

#[cfg(test)]
mod tests {
    use clip_torch::tch::Device;

    use super::*;
    use crate::{ModelConfig, TextConfig, VisionConfig, load_checkpoint};

    fn config(vision_cfg: VisionConfig) -> ModelConfig {
        let text = TextConfig::paper(64);
        let text_cfg =
            TextConfig { context_length: 6, vocab_size: 30, width: 8, heads: 1, layers: 1, ..text };
        ModelConfig { embed_dim: 8, quick_gelu: true, vision_cfg, text_cfg }
    }

    #[test]
    fn a_checkpoint_comes_back_whole_and_a_wrong_one_is_refused() {
        let vit = VisionConfig { head_width: 8, ..VisionConfig::vit(8, 4, 1, 16) };
        for vision in [vit, VisionConfig::resnet(32, [1, 1, 1, 1], 2)] {
            let config = config(vision);
            let model = Clip::new(&config, Device::Cpu);
            let folder = tempfile::tempdir().unwrap();
            save_checkpoint(folder.path(), &model).unwrap();
            let again = load_checkpoint(folder.path(), Device::Cpu).unwrap();
            assert_eq!(again.config(), &config);
            for ((name, a), (_, b)) in model.state_dict().iter().zip(again.state_dict()) {
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

    #[test]
    fn every_tensor_that_does_not_fit_is_named() {
        let vit = VisionConfig { head_width: 8, ..VisionConfig::vit(8, 4, 1, 16) };
        let config = config(vit);
        let mut weights: Vec<_> = Clip::new(&config, Device::Cpu)
            .state_dict()
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
            .collect();
        weights.retain(|(name, _)| name != "ln_final.bias");
        weights.push(("visual.trunk.stem.weight".into(), Tensor::from(1f32)));
        let message = Clip::from_weights(&config, weights, Device::Cpu).err().unwrap().to_string();
        assert!(message.contains("missing: ln_final.bias"), "{message}");
        assert!(message.contains("not in the model: visual.trunk.stem.weight"), "{message}");
        assert!(message.contains("timm"), "{message}");
    }
}
