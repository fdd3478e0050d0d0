//! The vision transformer (paper, section 2.4: a layer norm before the blocks, class token, projection).

use clip_torch::tch::{Device, Tensor};

use crate::params::Params;
use crate::transformer::{Block, BlockInit, BlockShape, LayerNorm};
use crate::{ModelConfig, init};

pub(crate) struct VisionTransformer {
    class_embedding: Tensor,
    positional_embedding: Tensor,
    proj: Tensor,
    conv1: Tensor,
    ln_pre: LayerNorm,
    blocks: Vec<Block>,
    ln_post: LayerNorm,
    patch: i64,
}

impl VisionTransformer {
    pub fn new(params: &mut Params, config: &ModelConfig, device: Device) -> Self {
        let v = &config.vision_cfg;
        let (w, p) = (v.width, v.patch_size);
        let grid = v.image_size / p;
        let scale = (w as f64).powf(-0.5);
        let mut add = |name: &str, tensor| params.add(format!("visual.{name}"), tensor, device);
        let class_embedding = add("class_embedding", init::normal(&[w], scale));
        let positions = init::normal(&[grid * grid + 1, w], scale);
        let positional_embedding = add("positional_embedding", positions);
        let proj = add("proj", init::normal(&[w, config.embed_dim], scale));
        let conv1 = add("conv1.weight", init::fan_in(&[w, 3, p, p], 3 * p * p));
        let ln_pre = LayerNorm::new(params, "visual.ln_pre", w, device);
        let shape = BlockShape {
            width: w,
            heads: w / v.head_width,
            causal: false,
            quick_gelu: config.quick_gelu,
            init: BlockInit::Default,
        };
        let blocks = (0..v.layers)
            .map(|i| {
                Block::new(params, &format!("visual.transformer.resblocks.{i}"), shape, device)
            })
            .collect();
        let ln_post = LayerNorm::new(params, "visual.ln_post", w, device);
        Self {
            class_embedding,
            positional_embedding,
            proj,
            conv1,
            ln_pre,
            blocks,
            ln_post,
            patch: p,
        }
    }

    /// Normalised pixels [batch, 3, size, size] to (features before, after the projection).
    pub fn forward(&self, images: &Tensor) -> (Tensor, Tensor) {
        let none = None::<&Tensor>;
        let x = images.conv2d(&self.conv1, none, [self.patch, self.patch], [0, 0], [1, 1], 1);
        // [batch, width, grid, grid] -> [batch, grid * grid, width]
        let x = x.flatten(2, 3).transpose(1, 2);
        let (batch, width) = (x.size()[0], x.size()[2]);
        let class = self.class_embedding.to_kind(x.kind()).expand([batch, 1, width], false);
        let positions = self.positional_embedding.to_kind(x.kind());
        let x = Tensor::cat(&[class, x], 1) + positions;
        let mut x = self.ln_pre.forward(&x);
        for block in &self.blocks {
            x = block.forward(&x);
        }
        let pooled = self.ln_post.forward(&x.select(1, 0));
        let projected = pooled.matmul(&self.proj);
        (pooled, projected)
    }
}
