//! The vision transformer (paper, section 2.4: a layer norm before the blocks, class token,
//! projection).

use std::rc::Rc;

use clip_torch::tch::{Kind, Tensor};

use crate::ModelConfig;
use crate::init::Init;
use crate::layers::{Conv, LayerNorm};
use crate::params::Params;
use crate::pass::{Pass, PatchDropout};
use crate::transformer::{Block, BlockInit, BlockShape, run_blocks_to_one};

pub(crate) struct VisionTransformer {
    class_embedding: Tensor,
    positional_embedding: Tensor,
    proj: Tensor,
    conv1: Conv,
    ln_pre: LayerNorm,
    blocks: Vec<Rc<Block>>,
    ln_post: LayerNorm,
}

impl VisionTransformer {
    /// `layers` blocks over patches of `patch` x `patch` pixels.
    pub fn new(params: &mut Params, config: &ModelConfig, layers: i64, patch: i64) -> Self {
        let v = &config.vision_cfg;
        let (w, grid) = (v.width, v.grid());
        let scaled = Init::per_width(w);
        let mut add =
            |name: &str, shape: &[i64]| params.weight(format!("visual.{name}"), shape, scaled);
        let class_embedding = add("class_embedding", &[w]);
        let positional_embedding = add("positional_embedding", &[grid * grid + 1, w]);
        let proj = add("proj", &[w, config.embed_dim]);
        let conv1 = Conv::new(params, "visual.conv1", [3, w], patch, patch, 0);
        let ln_pre = LayerNorm::new(params, "visual.ln_pre", w);
        let shape = BlockShape {
            width: w,
            heads: w / v.head_width,
            mlp_ratio: v.mlp_ratio,
            quick_gelu: config.quick_gelu,
            init: BlockInit::Default,
        };
        let blocks = (0..layers)
            .map(|i| {
                Rc::new(Block::new(params, &format!("visual.transformer.resblocks.{i}"), shape))
            })
            .collect();
        let ln_post = LayerNorm::new(params, "visual.ln_post", w);
        Self { class_embedding, positional_embedding, proj, conv1, ln_pre, blocks, ln_post }
    }

    /// Normalised pixels [batch, 3, size, size] to the features before the projection, [batch,
    /// width].
    pub fn features(&self, images: &Tensor, pass: Pass, patches: Option<PatchDropout>) -> Tensor {
        // [batch, width, grid, grid] -> [batch, grid * grid, width]
        let x = self.conv1.forward(images).flatten(2, 3).transpose(1, 2);
        let (batch, width) = (x.size()[0], x.size()[2]);
        let class = self.class_embedding.to_kind(x.kind()).expand([batch, 1, width], false);
        let positions = self.positional_embedding.to_kind(x.kind());
        let x = Tensor::cat(&[class, x], 1) + positions;
        let x = patches.map_or_else(|| x.shallow_clone(), |patches| patches.apply(&x));
        let x = self.ln_pre.forward(&x);
        self.ln_post.forward(&run_blocks_to_one(&self.blocks, &x, None, pass))
    }

    /// The same in a form that only computes.
    pub fn for_inference(&self, kind: Kind) -> Self {
        Self {
            class_embedding: self.class_embedding.to_kind(kind),
            positional_embedding: self.positional_embedding.to_kind(kind),
            proj: self.proj.to_kind(kind),
            conv1: self.conv1.cast(kind),
            ln_pre: self.ln_pre.cast(kind),
            blocks: self.blocks.iter().map(|block| Rc::new(block.for_inference(kind))).collect(),
            ln_post: self.ln_post.cast(kind),
        }
    }

    /// Features before the projection to the shared space.
    pub fn project(&self, features: &Tensor) -> Tensor {
        features.matmul(&self.proj)
    }
}
