//! The image tower of some weights, for a model whose texts are learned anew: LiT (Zhai et al.
//! 2021).

use std::path::{Path, PathBuf};

use clip_torch::tch::{Tensor, no_grad};

use crate::{Clip, Error, ModelConfig, PreprocessCfg, Result, Weights, interpolate_positions};

/// The weights of an image tower.
#[derive(Debug)]
pub struct Tower {
    path: PathBuf,
    tensors: Vec<(String, Tensor)>,
    /// What happens to images, where the file or its folder says.
    pub preprocess: Option<PreprocessCfg>,
}

impl Tower {
    /// Reads the image tower of weights in any format that [`crate::open`] reads; positions are
    /// interpolated to the image size of `config`.
    ///
    /// # Errors
    /// When the file has none, or says that its activation is another one than the model's.
    pub fn read(path: &Path, config: &ModelConfig) -> Result<Self> {
        let mut weights = Weights::read(path)?;
        if let Some(own) = &weights.config {
            // The text side may be any.
            let (vision_cfg, quick_gelu) = (config.vision_cfg.clone(), config.quick_gelu);
            weights.config(Some(&ModelConfig { quick_gelu, vision_cfg, ..own.clone() }))?;
        }
        weights.tensors.retain(|(name, _)| name.starts_with("visual."));
        if weights.tensors.is_empty() {
            return Err(Error::file(path, "the weights have no image tower of CLIP's"));
        }
        interpolate_positions(&mut weights.tensors, config)?;
        let (tensors, preprocess) = (weights.tensors, weights.preprocess);
        Ok(Self { path: path.to_path_buf(), tensors, preprocess })
    }

    /// Copies the tower into a model, into the types that it has.
    ///
    /// # Errors
    /// When a tensor is missing, unknown, or of another shape: the first is named.
    pub fn copy_into(&self, model: &Clip) -> Result<()> {
        let hint = "hint: --pretrained-image wants weights with the image tower of --model";
        let fault = |what: String| Error::file(&self.path, format!("{what}\n{hint}"));
        let own = model.state_dict().iter().filter(|(name, _)| name.starts_with("visual."));
        let own: Vec<&(String, Tensor)> = own.collect();
        let has = |name: &str| own.iter().any(|(own, _)| own == name);
        if let Some((name, _)) = self.tensors.iter().find(|(name, _)| !has(name)) {
            return Err(fault(format!("the model has no {name}")));
        }
        for (name, target) in own {
            let source = self.tensors.iter().find(|(stored, _)| stored == name);
            let (_, source) = source.ok_or_else(|| fault(format!("{name} is missing")))?;
            let (has, wants) = (source.size(), target.size());
            if has != wants {
                return Err(fault(format!("{name} is {has:?}, not {wants:?}")));
            }
            no_grad(|| target.detach().f_copy_(source))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TextConfig, VisionConfig, save_checkpoint};
    use clip_torch::tch::Device;

    fn tiny(side: i64, layers: i64) -> ModelConfig {
        let text_cfg =
            TextConfig { context_length: 8, vocab_size: 16, layers: 1, ..TextConfig::paper(64) };
        let vision_cfg = VisionConfig::vit(side, 8, layers, 64);
        ModelConfig { embed_dim: 16, quick_gelu: true, vision_cfg, text_cfg }
    }

    #[test]
    fn the_image_tower_is_taken_over_and_the_text_tower_stays() {
        let folder = tempfile::tempdir().unwrap();
        let stored = Clip::new(&tiny(16, 1), Device::Cpu);
        save_checkpoint(folder.path(), &stored).unwrap();
        let model = Clip::new(&tiny(16, 1), Device::Cpu);
        let before: Vec<Tensor> = model.state_dict().iter().map(|(_, t)| t.copy()).collect();
        let tower = Tower::read(folder.path(), model.config()).unwrap();
        tower.copy_into(&model).unwrap();
        for (((name, now), before), (_, stored)) in
            model.state_dict().iter().zip(&before).zip(stored.state_dict())
        {
            let wanted = if name.starts_with("visual.") { stored } else { before };
            assert!(now.equal(wanted), "{name}");
        }
        // At another size the positions are interpolated; a deeper tower is another one.
        let larger = Clip::new(&tiny(32, 1), Device::Cpu);
        Tower::read(folder.path(), larger.config()).unwrap().copy_into(&larger).unwrap();
        let deeper = Clip::new(&tiny(16, 2), Device::Cpu);
        let error = Tower::read(folder.path(), deeper.config()).unwrap_err().to_string();
        assert!(error.contains("vision_cfg.layers 1 (asked for: 2)\nhint: "), "{error}");
        // Of weights that record no model, the tensors say it.
        let alone = tempfile::tempdir().unwrap();
        let bare = alone.path().join("bare.safetensors");
        let tensors = stored.state_dict();
        let tensors: Vec<(&str, &Tensor)> =
            tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        Tensor::write_safetensors(&tensors, &bare).unwrap();
        let error = Tower::read(&bare, deeper.config()).unwrap().copy_into(&deeper);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("resblocks.1.") && error.contains("is missing\nhint: "), "{error}");
        let exact = ModelConfig { quick_gelu: false, ..tiny(16, 1) };
        assert!(Tower::read(folder.path(), &exact).is_err());
    }
}
