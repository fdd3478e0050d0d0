//! A point on the line between two sets of weights: WiSE-FT (Wortsman et al. 2021, arXiv
//! 2109.01903).

use clip_torch::tch::{Kind, Tensor, no_grad};

use crate::open::describe;
use crate::{Clip, Error, Result};

/// The model whose weights are `(1 - alpha) before + alpha tuned`, its weights cast once to `kind`.
/// `before` are those that fine-tuning began with. Sums are in f32; counters of batch
/// normalisation are those of `tuned`, running statistics are interpolated as the authors' code
/// does.
///
/// # Errors
/// When the models are not of one configuration and one preprocessing, or one has a bias of the
/// sigmoid loss and the other has none.
pub fn interpolate(before: &Clip, tuned: &Clip, alpha: f64, kind: Kind) -> Result<Clip> {
    if before.config() != tuned.config() {
        let models = [before, tuned].map(Clip::config);
        let mut shown = models.map(describe);
        if shown[0] == shown[1] {
            shown = models.map(|config| serde_json::to_string(config).unwrap_or_default());
        }
        let [before, tuned] = shown;
        return Err(Error::Config(format!("the weights are of two models: {before}, and {tuned}")));
    }
    if before.preprocess() != tuned.preprocess() {
        let [before, tuned] = [before, tuned].map(|model| model.preprocess().to_json());
        return Err(Error::Config(format!(
            "their preprocess_cfg differs: {before}, and {tuned}\nhint: --image-mean, --image-std, --image-interpolation and --image-resize-mode override it"
        )));
    }
    let names =
        |model: &Clip| model.state_dict().iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    if names(before) != names(tuned) {
        return Err(Error::Config("one of the models has a logit_bias, the other has none".into()));
    }
    let pairs = before.state_dict().iter().zip(tuned.state_dict());
    let point = |((name, before), (_, tuned)): (&(String, Tensor), &(String, Tensor))| {
        if !tuned.is_floating_point() {
            return Ok((name.clone(), tuned.detach()));
        }
        let before = before.f_to_kind(Kind::Float)?;
        let tuned = tuned.f_to_kind(Kind::Float)?.f_to_device(before.device())?;
        let sum = before.f_mul_scalar(1.0 - alpha)?.f_add(&tuned.f_mul_scalar(alpha)?)?;
        Ok((name.clone(), sum))
    };
    let weights = no_grad(|| pairs.map(point).collect::<Result<Vec<_>>>())?;
    let mut model = Clip::from_weights_in(tuned.config(), weights, before.device(), kind)?;
    model.set_preprocess(*tuned.preprocess());
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ModelConfig, PreprocessCfg, TextConfig, VisionConfig};
    use clip_torch::tch::Device;

    fn tiny(vision_cfg: VisionConfig) -> ModelConfig {
        let text_cfg =
            TextConfig { context_length: 8, vocab_size: 16, layers: 1, ..TextConfig::paper(64) };
        ModelConfig { embed_dim: 16, quick_gelu: true, vision_cfg, text_cfg }
    }

    fn filled(config: &ModelConfig, value: f64, count: i64) -> Clip {
        let model = Clip::new(config, Device::Cpu);
        no_grad(|| {
            for (_, tensor) in model.state_dict() {
                let float = tensor.is_floating_point();
                let _ = tensor.shallow_clone().fill_(if float { value } else { count as f64 });
            }
        });
        model
    }

    #[test]
    fn weights_are_on_the_line_and_counters_are_the_later_ones() {
        let configs = [
            tiny(VisionConfig::vit(16, 8, 1, 64)),
            tiny(VisionConfig::resnet(32, [1, 1, 1, 1], 64)),
        ];
        for config in configs {
            let (before, tuned) = (filled(&config, 2.0, 3), filled(&config, 6.0, 9));
            for (alpha, wanted) in [(0.0, 2.0), (0.25, 3.0), (1.0, 6.0)] {
                let model = interpolate(&before, &tuned, alpha, Kind::Float).unwrap();
                for (name, tensor) in model.state_dict() {
                    let wanted = if tensor.is_floating_point() { wanted } else { 9.0 };
                    assert!(tensor.eq(wanted).all().int64_value(&[]) == 1, "{name} at {alpha}");
                }
            }
            let half = interpolate(&before, &tuned, 0.5, Kind::Half).unwrap();
            assert_eq!(half.kind(), Kind::Half);
        }
    }

    #[test]
    fn models_that_are_not_alike_are_refused() {
        let small = filled(&tiny(VisionConfig::vit(16, 8, 1, 64)), 1.0, 0);
        let large = filled(&tiny(VisionConfig::vit(16, 8, 2, 64)), 1.0, 0);
        let refused = |before: &Clip, tuned: &Clip| {
            interpolate(before, tuned, 0.5, Kind::Float).err().unwrap().to_string()
        };
        assert!(refused(&small, &large).contains("of two models"));
        let mut other = filled(small.config(), 1.0, 0);
        other.add_logit_bias(0.0);
        assert!(refused(&small, &other).contains("logit_bias"));
        let mut other = filled(small.config(), 1.0, 0);
        other.set_preprocess(PreprocessCfg { mean: [0.5; 3], ..PreprocessCfg::default() });
        assert!(refused(&small, &other).contains("preprocess_cfg differs"));
    }
}
