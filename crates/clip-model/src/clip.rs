//! Both towers and the temperature.

use clip_torch::tch::{Device, Kind, Tensor, no_grad};

use crate::params::Params;
use crate::transformer::{Block, BlockInit, BlockShape, LayerNorm};
use crate::vit::VisionTransformer;
use crate::{Error, ModelConfig, Result, init};

/// CLIP (paper, figure 3): images and texts into one space.
pub struct Clip {
    config: ModelConfig,
    params: Params,
    device: Device,
    visual: VisionTransformer,
    token_embedding: Tensor,
    positional_embedding: Tensor,
    text_projection: Tensor,
    logit_scale: Tensor,
    blocks: Vec<Block>,
    ln_final: LayerNorm,
}

impl Clip {
    /// A model with fresh weights, drawn from libtorch's global generator.
    pub fn new(config: &ModelConfig, device: Device) -> Self {
        let t = &config.text_cfg;
        let mut params = Params::default();
        let p = &mut params;
        // The order of registration is open_clip's: top-level parameters first, then modules.
        let positions = init::normal(&[t.context_length, t.width], 0.01);
        let positional_embedding = p.add("positional_embedding".into(), positions, device);
        let projection = init::normal(&[t.width, config.embed_dim], (t.width as f64).powf(-0.5));
        let text_projection = p.add("text_projection".into(), projection, device);
        let scale = Tensor::from((1.0f64 / 0.07).ln()).to_kind(Kind::Float);
        let logit_scale = p.add("logit_scale".into(), scale, device);
        let visual = VisionTransformer::new(p, config, device);
        let shape = BlockShape {
            width: t.width,
            heads: t.heads,
            causal: true,
            quick_gelu: config.quick_gelu,
            init: BlockInit::Text { layers: t.layers },
        };
        let blocks = (0..t.layers)
            .map(|i| Block::new(p, &format!("transformer.resblocks.{i}"), shape, device))
            .collect();
        let tokens = init::normal(&[t.vocab_size, t.width], 0.02);
        let token_embedding = p.add("token_embedding.weight".into(), tokens, device);
        let ln_final = LayerNorm::new(p, "ln_final", t.width, device);
        let config = config.clone();
        Self {
            config,
            params,
            device,
            visual,
            token_embedding,
            positional_embedding,
            text_projection,
            logit_scale,
            blocks,
            ln_final,
        }
    }

    /// The configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Normalised pixels [batch, 3, size, size] to [batch, embed_dim], not of unit length.
    pub fn encode_image(&self, images: &Tensor) -> Tensor {
        self.visual.forward(images).1
    }

    /// Normalised pixels to the features before the projection, [batch, width]: what probes use.
    pub fn image_features(&self, images: &Tensor) -> Tensor {
        self.visual.forward(images).0
    }

    /// Token ids [batch, length <= context] to [batch, embed_dim], not of unit length.
    ///
    /// The mask is causal and the features stand at the end token, so padding after the longest text changes
    /// nothing: a shorter `length` gives the same result for less work.
    pub fn encode_text(&self, tokens: &Tensor) -> Tensor {
        let length = tokens.size()[1];
        let positions = self.positional_embedding.narrow(0, 0, length);
        let mut x = Tensor::embedding(&self.token_embedding, tokens, -1, false, false) + positions;
        for block in &self.blocks {
            x = block.forward(&x);
        }
        let x = self.ln_final.forward(&x);
        // The end token has the highest id.
        let end = tokens.argmax(1, false).view([-1, 1, 1]).expand([-1, 1, x.size()[2]], false);
        x.gather(1, &end, false).squeeze_dim(1).matmul(&self.text_projection)
    }

    /// The logarithm of the temperature's inverse, a 0-dim tensor.
    pub fn logit_scale(&self) -> &Tensor {
        &self.logit_scale
    }

    /// Keeps the temperature in the paper's bounds: the scale is at most 100.
    pub fn clamp_logit_scale(&mut self) {
        no_grad(|| {
            let _ = self.logit_scale.clamp_(0.0, 100f64.ln());
        });
    }

    /// Parameters in PyTorch's order.
    pub fn named_parameters(&self) -> &[(String, Tensor)] {
        self.params.entries()
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.params.count()
    }

    /// Copies weights into the model by name.
    ///
    /// # Errors
    /// When a name is missing, unknown, or has another shape.
    pub fn load(&mut self, weights: &[(String, Tensor)]) -> Result<()> {
        let mine = self.params.entries();
        let unknown = weights.iter().find(|(name, _)| !mine.iter().any(|(n, _)| n == name));
        if let Some((name, _)) = unknown {
            return Err(Error::Weights(format!("{name} is not in the model")));
        }
        for (name, target) in mine {
            let source = weights.iter().find(|(n, _)| n == name).map(|(_, tensor)| tensor);
            let source = source.ok_or_else(|| Error::Weights(format!("{name} is missing")))?;
            if source.size() != target.size() {
                let (has, wants) = (source.size(), target.size());
                return Err(Error::Weights(format!(
                    "{name} is {has:?}, the model wants {wants:?}"
                )));
            }
            no_grad(|| target.shallow_clone().f_copy_(source))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TextConfig, VisionConfig};

    fn tiny() -> ModelConfig {
        let vision_cfg =
            VisionConfig { image_size: 16, layers: 2, width: 32, patch_size: 8, head_width: 16 };
        let text_cfg =
            TextConfig { context_length: 12, vocab_size: 50, width: 24, heads: 2, layers: 2 };
        ModelConfig { embed_dim: 20, quick_gelu: true, vision_cfg, text_cfg }
    }

    fn std(model: &Clip, name: &str) -> f64 {
        let (_, tensor) = model.named_parameters().iter().find(|(n, _)| n == name).unwrap();
        tensor.std(false).double_value(&[])
    }

    #[test]
    fn shorter_padding_changes_nothing() {
        let model = Clip::new(&tiny(), Device::Cpu);
        let tokens = Tensor::from_slice(&[48i64, 5, 6, 49, 0, 0, 48, 7, 49, 0, 0, 0]).view([2, 6]);
        let long = model.encode_text(&tokens);
        let short = model.encode_text(&tokens.narrow(1, 0, 4));
        assert_eq!(long.size(), [2, 20]);
        assert!((long - short).abs().max().double_value(&[]) < 1e-5);
    }

    #[test]
    fn weights_are_drawn_as_openai_draws_them() {
        let config = ModelConfig {
            vision_cfg: VisionConfig { width: 192, head_width: 64, ..tiny().vision_cfg },
            text_cfg: TextConfig { width: 128, vocab_size: 500, ..tiny().text_cfg },
            ..tiny()
        };
        let model = Clip::new(&config, Device::Cpu);
        for (name, wanted) in [
            ("token_embedding.weight", 0.02),
            ("positional_embedding", 0.01),
            ("text_projection", 128f64.powf(-0.5)),
            ("transformer.resblocks.0.attn.in_proj_weight", 128f64.powf(-0.5)),
            ("transformer.resblocks.1.attn.out_proj.weight", 128f64.powf(-0.5) * 0.5),
            ("transformer.resblocks.0.mlp.c_fc.weight", 256f64.powf(-0.5)),
            ("transformer.resblocks.1.mlp.c_proj.weight", 128f64.powf(-0.5) * 0.5),
            ("visual.class_embedding", 192f64.powf(-0.5)),
            ("visual.proj", 192f64.powf(-0.5)),
            ("visual.conv1.weight", (3.0 * 64.0f64).powf(-0.5) / 3f64.sqrt()),
            ("visual.transformer.resblocks.0.attn.in_proj_weight", (2.0 / 768.0f64).sqrt()),
            (
                "visual.transformer.resblocks.0.attn.out_proj.weight",
                192f64.powf(-0.5) / 3f64.sqrt(),
            ),
            ("visual.transformer.resblocks.1.mlp.c_proj.weight", 768f64.powf(-0.5) / 3f64.sqrt()),
            ("visual.transformer.resblocks.0.attn.in_proj_bias", 0.0),
            ("transformer.resblocks.0.attn.out_proj.bias", 0.0),
            ("ln_final.weight", 0.0),
        ] {
            let found = std(&model, name);
            let slack = if name == "visual.class_embedding" { 0.2 } else { 0.1 };
            assert!((found - wanted).abs() <= slack * wanted, "{name}: {found} against {wanted}");
        }
        let scale = model.logit_scale().double_value(&[]);
        assert!((scale - 2.6593).abs() < 1e-4);
    }

    #[test]
    fn both_towers_learn() {
        clip_torch::tch::manual_seed(1);
        let model = Clip::new(&tiny(), Device::Cpu);
        let images = Tensor::randn([2, 3, 16, 16], (Kind::Float, Device::Cpu));
        let tokens = Tensor::from_slice(&[48i64, 5, 49, 48, 6, 49]).view([2, 3]);
        let product = model.encode_image(&images) * model.encode_text(&tokens);
        (product.sum(Kind::Float) * model.logit_scale().exp()).backward();
        for (name, tensor) in model.named_parameters() {
            let gradient = tensor.grad();
            assert!(
                gradient.defined() && gradient.isfinite().all().int64_value(&[]) == 1,
                "{name}"
            );
        }
    }
}
