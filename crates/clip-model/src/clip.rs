//! Both towers and the temperature.

use std::rc::Rc;

use clip_image::Preprocess;
use clip_torch::tch::{Device, Kind, Tensor, no_grad};

use crate::config::Depth;
use crate::init::Init;
use crate::layers::{LayerNorm, Mode};
use crate::params::Params;
use crate::pass::{Pass, PatchDropout};
use crate::pixels::pixels;
use crate::resnet::ModifiedResNet;
use crate::transformer::{Block, BlockInit, BlockShape, run_blocks, run_blocks_to_one};
use crate::vit::VisionTransformer;
use crate::{ModelConfig, PreprocessCfg, Result};

/// CLIP (paper, figure 3): images and texts into one space.
pub struct Clip {
    config: ModelConfig,
    preprocess: PreprocessCfg,
    pub(crate) state: Vec<(String, Tensor)>,
    pub(crate) parameters: Vec<(String, Tensor)>,
    device: Device,
    pub(crate) pass: Pass,
    visual: Visual,
    pub(crate) token_embedding: Tensor,
    positional_embedding: Tensor,
    pub(crate) text_projection: Tensor,
    logit_scale: Tensor,
    pub(crate) logit_bias: Option<Tensor>,
    blocks: Vec<Rc<Block>>,
    ln_final: LayerNorm,
}

/// The image tower.
enum Visual {
    Transformer(VisionTransformer),
    ResNet(Box<ModifiedResNet>),
}

impl Clip {
    /// A model with fresh weights, drawn from libtorch's global generator. Its mode is
    /// [`Mode::Eval`].
    pub fn new(config: &ModelConfig, device: Device) -> Self {
        // Fresh weights fit by construction.
        Self::build(config, Params::fresh(device), device).0
    }

    /// A model with the weights given, which are taken over without a copy where they are f32 on
    /// that device.
    ///
    /// # Errors
    /// When names are missing, unknown, or of another shape: all of them are named.
    pub fn from_weights(
        config: &ModelConfig,
        weights: Vec<(String, Tensor)>,
        device: Device,
    ) -> Result<Self> {
        Self::from_weights_in(config, weights, device, Kind::Float)
    }

    /// As [`Clip::from_weights`], with the weights cast once to `kind` (f32, bf16 or f16).
    pub fn from_weights_in(
        config: &ModelConfig,
        weights: Vec<(String, Tensor)>,
        device: Device,
        kind: Kind,
    ) -> Result<Self> {
        let params = Params::given(weights, device, kind);
        let (model, faults) = no_grad(|| Self::build(config, params, device));
        faults.check(config)?;
        Ok(model)
    }

    fn build(
        config: &ModelConfig,
        mut params: Params,
        device: Device,
    ) -> (Self, crate::weight_mismatch::Faults) {
        let t = &config.text_cfg;
        let p = &mut params;
        // The order of registration is open_clip's: top-level parameters first, then modules.
        let shape = [t.context_length, t.width];
        let positional_embedding =
            p.weight("positional_embedding".into(), &shape, Init::Normal(0.01));
        let shape = [t.width, config.embed_dim];
        let text_projection = p.weight("text_projection".into(), &shape, Init::per_width(t.width));
        let temperature = Init::Constant((1.0f64 / 0.07).ln());
        let logit_scale = p.weight_f32("logit_scale".into(), &[], temperature);
        // Weights of a SigLIP model have one; fresh weights get it from `add_logit_bias`.
        let name = "logit_bias";
        let logit_bias = p.has(name).then(|| p.weight_f32(name.into(), &[], Init::Constant(0.0)));
        let visual = match (config.vision_cfg.layers, config.vision_cfg.patch_size) {
            (Depth::Stages(stages), _) => {
                Visual::ResNet(Box::new(ModifiedResNet::new(p, config, stages)))
            }
            (Depth::Blocks(layers), patch) => {
                let patch = patch.unwrap_or(config.vision_cfg.image_size);
                Visual::Transformer(VisionTransformer::new(p, config, layers, patch))
            }
        };
        let shape = BlockShape {
            width: t.width,
            heads: t.heads,
            mlp_ratio: t.mlp_ratio,
            quick_gelu: config.quick_gelu,
            init: BlockInit::Text { layers: t.layers },
        };
        let blocks = (0..t.layers)
            .map(|i| Rc::new(Block::new(p, &format!("transformer.resblocks.{i}"), shape)))
            .collect();
        let shape = [t.vocab_size, t.width];
        let token_embedding = p.weight("token_embedding.weight".into(), &shape, Init::Normal(0.02));
        let ln_final = LayerNorm::new(p, "ln_final", t.width);
        let config = config.clone();
        let (state, parameters, faults) = params.finish();
        let model = Self {
            config,
            preprocess: PreprocessCfg::default(),
            state,
            parameters,
            device,
            pass: Pass::default(),
            visual,
            token_embedding,
            positional_embedding,
            text_projection,
            logit_scale,
            logit_bias,
            blocks,
            ln_final,
        };
        (model, faults)
    }

    /// Names and shapes of a configuration's state dict, and the names of its parameters, both in
    /// PyTorch's order.
    pub fn shapes(config: &ModelConfig) -> (Vec<(String, Vec<i64>)>, Vec<String>) {
        let model = no_grad(|| Self::build(config, Params::shapes(), Device::Cpu).0);
        let shape = |(name, tensor): &(String, Tensor)| (name.clone(), tensor.size());
        let parameters = model.parameters.iter().map(|(name, _)| name.clone()).collect();
        (model.state.iter().map(shape).collect(), parameters)
    }

    /// The configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What happens to images before the model sees them; OpenAI's, where nothing said otherwise.
    pub fn preprocess(&self) -> &PreprocessCfg {
        &self.preprocess
    }

    /// Says what happens to images from now on.
    pub fn set_preprocess(&mut self, preprocess: PreprocessCfg) {
        self.preprocess = preprocess;
    }

    /// The transform of evaluation: images to the bytes that [`Clip::pixels`] takes.
    pub fn transform(&self) -> Preprocess {
        self.preprocess.transform(self.config.vision_cfg.image_size)
    }

    /// Bytes [n, size, size, 3] to pixels [n, 3, size, size] in f32 on the model's device,
    /// normalised with its mean and standard deviation: on the processor bit by bit what
    /// torchvision's `ToTensor` and `Normalize` give. In memory the channels come last, as
    /// convolutions want them.
    ///
    /// The copy of pinned bytes to a GPU is not waited for.
    pub fn pixels(&self, bytes: &Tensor) -> Tensor {
        pixels(bytes, &self.preprocess, self.device)
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The type of the weights: images must be of it.
    pub fn kind(&self) -> Kind {
        self.token_embedding.kind()
    }

    /// What batch normalisation does from now on (ResNets only).
    pub fn set_mode(&mut self, mode: Mode) {
        self.pass.mode = mode;
    }

    /// Normalised pixels [batch, 3, size, size] to [batch, embed_dim], not of unit length.
    pub fn encode_image(&self, images: &Tensor) -> Tensor {
        self.project_image(&self.image_features(images))
    }

    /// Normalised pixels to the features before the projection, [batch, width]: what probes use.
    pub fn image_features(&self, images: &Tensor) -> Tensor {
        self.features(images, None)
    }

    pub(crate) fn features(&self, images: &Tensor, patches: Option<PatchDropout>) -> Tensor {
        match &self.visual {
            Visual::Transformer(tower) => tower.features(images, self.pass, patches),
            Visual::ResNet(tower) => tower.features(images, self.pass),
        }
    }

    /// Features before the projection to the shared space, [batch, embed_dim].
    pub fn project_image(&self, features: &Tensor) -> Tensor {
        match &self.visual {
            Visual::Transformer(tower) => tower.project(features),
            Visual::ResNet(tower) => tower.project(features),
        }
    }

    /// Token ids [batch, length <= context] to [batch, embed_dim], not of unit length.
    ///
    /// The mask is causal and the features are at the end token, so padding after the longest
    /// text changes nothing: a shorter `length` gives the same result for less work.
    pub fn encode_text(&self, tokens: &Tensor) -> Tensor {
        let x = Tensor::embedding(&self.token_embedding, tokens, -1, false, false);
        // The end token has the highest id.
        let ends = tokens.argmax(1, false);
        let x = run_blocks_to_one(&self.blocks, &self.add_positions(&x), Some(&ends), self.pass);
        self.ln_final.forward(&x).matmul(&self.text_projection)
    }

    /// A form that only encodes, with weights of the type: batch norms folded into their
    /// convolutions, channels last, one operation for QuickGELU. It has no parameters to train
    /// or to save.
    pub fn for_inference(self, kind: Kind) -> Self {
        no_grad(|| Self {
            visual: match &self.visual {
                Visual::Transformer(tower) => Visual::Transformer(tower.for_inference(kind)),
                Visual::ResNet(tower) => Visual::ResNet(Box::new(tower.for_inference(kind))),
            },
            token_embedding: self.token_embedding.to_kind(kind),
            positional_embedding: self.positional_embedding.to_kind(kind),
            text_projection: self.text_projection.to_kind(kind),
            blocks: self.blocks.iter().map(|block| Rc::new(block.for_inference(kind))).collect(),
            ln_final: self.ln_final.cast(kind),
            state: Vec::new(),
            parameters: Vec::new(),
            pass: Pass::default(),
            ..self
        })
    }

    /// Embedded tokens [batch, length, width] to the last layer's states, of the same shape.
    pub(crate) fn text_states(&self, embedded: &Tensor) -> Tensor {
        self.ln_final.forward(&run_blocks(
            &self.blocks,
            &self.add_positions(embedded),
            true,
            self.pass,
        ))
    }

    /// Embedded tokens with their positions.
    fn add_positions(&self, embedded: &Tensor) -> Tensor {
        embedded + self.positional_embedding.narrow(0, 0, embedded.size()[1])
    }

    /// The logarithm of the temperature's inverse, a 0-dim tensor.
    pub fn logit_scale(&self) -> &Tensor {
        &self.logit_scale
    }

    /// Whether it has the bias of the sigmoid loss.
    pub fn has_logit_bias(&self) -> bool {
        self.logit_bias.is_some()
    }

    /// Keeps the temperature in the paper's bounds: the scale is at most 100.
    pub fn clamp_logit_scale(&mut self) {
        no_grad(|| {
            let _ = self.logit_scale.clamp_(0.0, 100f64.ln());
        });
    }

    /// Parameters in PyTorch's order.
    pub fn named_parameters(&self) -> &[(String, Tensor)] {
        &self.parameters
    }

    /// Parameters and buffers in the order of PyTorch's `state_dict()`.
    pub fn state_dict(&self) -> &[(String, Tensor)] {
        &self.state
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(|(_, tensor)| tensor.numel()).sum()
    }
}

#[cfg(test)]
mod tests;
