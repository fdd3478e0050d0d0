//! The residual attention block, shared by both towers.

use clip_torch::tch::{Device, Kind, Tensor};

use crate::init;
use crate::params::Params;

/// Layer normalisation with gain and bias, computed in 32 bits.
pub(crate) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    pub fn new(params: &mut Params, name: &str, width: i64, device: Device) -> Self {
        let weight = params.add(format!("{name}.weight"), init::ones(&[width]), device);
        let bias = params.add(format!("{name}.bias"), init::zeros(&[width]), device);
        Self { weight, bias }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), 1e-5, false)
    }
}

/// How the weights of a block are drawn.
#[derive(Clone, Copy)]
pub(crate) enum BlockInit {
    /// PyTorch's defaults: the vision tower.
    Default,
    /// OpenAI's for the text tower, which scale the residual branches by the number of layers.
    Text {
        /// Blocks in the tower.
        layers: i64,
    },
}

/// What all blocks of a tower share.
#[derive(Clone, Copy)]
pub(crate) struct BlockShape {
    pub width: i64,
    pub heads: i64,
    pub causal: bool,
    pub quick_gelu: bool,
    pub init: BlockInit,
}

/// Attention and a two-layer perceptron, each after a layer norm and added to its input.
pub(crate) struct Block {
    shape: BlockShape,
    in_weight: Tensor,
    in_bias: Tensor,
    out_weight: Tensor,
    out_bias: Tensor,
    ln_1: LayerNorm,
    fc_weight: Tensor,
    fc_bias: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    ln_2: LayerNorm,
}

impl Block {
    pub fn new(params: &mut Params, name: &str, shape: BlockShape, device: Device) -> Self {
        let w = shape.width;
        let std = (w as f64).powf(-0.5);
        // Names and order are those of torch.nn: ln_1 stands after attn in open_clip's state dict.
        let (in_w, out_w, fc_w, proj_w) = match shape.init {
            BlockInit::Default => (
                init::xavier(3 * w, w),
                init::fan_in(&[w, w], w),
                init::fan_in(&[4 * w, w], w),
                init::fan_in(&[w, 4 * w], 4 * w),
            ),
            BlockInit::Text { layers } => {
                let residual = std * (2.0 * layers as f64).powf(-0.5);
                (
                    init::normal(&[3 * w, w], std),
                    init::normal(&[w, w], residual),
                    init::normal(&[4 * w, w], (2.0 * w as f64).powf(-0.5)),
                    init::normal(&[w, 4 * w], residual),
                )
            }
        };
        let ln_1 = LayerNorm::new(params, &format!("{name}.ln_1"), w, device);
        let mut add = |part: &str, tensor| params.add(format!("{name}.{part}"), tensor, device);
        let in_weight = add("attn.in_proj_weight", in_w);
        let in_bias = add("attn.in_proj_bias", init::zeros(&[3 * w]));
        let out_weight = add("attn.out_proj.weight", out_w);
        let out_bias = add("attn.out_proj.bias", init::zeros(&[w]));
        let ln_2 = LayerNorm::new(params, &format!("{name}.ln_2"), w, device);
        let mut add = |part: &str, tensor| params.add(format!("{name}.{part}"), tensor, device);
        let fc_weight = add("mlp.c_fc.weight", fc_w);
        let fc_bias = add("mlp.c_fc.bias", init::fan_in(&[4 * w], w));
        let proj_weight = add("mlp.c_proj.weight", proj_w);
        let proj_bias = add("mlp.c_proj.bias", init::fan_in(&[w], 4 * w));
        Self {
            shape,
            in_weight,
            in_bias,
            out_weight,
            out_bias,
            ln_1,
            fc_weight,
            fc_bias,
            proj_weight,
            proj_bias,
            ln_2,
        }
    }

    /// `x` and the result are [batch, length, width].
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let x = x + self.attention(&self.ln_1.forward(x));
        let hidden = self.ln_2.forward(&x).linear(&self.fc_weight, Some(&self.fc_bias));
        let hidden = activation(&hidden, self.shape.quick_gelu);
        &x + hidden.linear(&self.proj_weight, Some(&self.proj_bias))
    }

    fn attention(&self, x: &Tensor) -> Tensor {
        let (batch, length, width) = (x.size()[0], x.size()[1], self.shape.width);
        let heads = self.shape.heads;
        let qkv = x
            .linear(&self.in_weight, Some(&self.in_bias))
            .view([batch, length, 3, heads, width / heads])
            .permute([2, 0, 3, 1, 4]);
        let (q, k, v) = (qkv.get(0), qkv.get(1), qkv.get(2));
        let causal = self.shape.causal;
        let mixed = if x.device() == Device::Cpu && length <= SHORT {
            plain_attention(&q, &k, &v, causal)
        } else {
            let mask = None::<&Tensor>;
            Tensor::scaled_dot_product_attention(&q, &k, &v, mask, 0.0, causal, None, false)
        };
        let mixed = mixed.transpose(1, 2).reshape([batch, length, width]);
        mixed.linear(&self.out_weight, Some(&self.out_bias))
    }
}

/// Longest sequence whose attention is two plain products on the processor: libtorch's fused kernel makes many
/// small ones there, and a training step of the demo's model takes 1.5 times as long with it.
const SHORT: i64 = 256;

/// `q`, `k`, `v` and the result are [batch, heads, length, width / heads].
fn plain_attention(q: &Tensor, k: &Tensor, v: &Tensor, causal: bool) -> Tensor {
    let (length, width) = (q.size()[2], q.size()[3]);
    let scores = (q * (width as f64).powf(-0.5)).matmul(&k.transpose(-2, -1));
    let scores = if causal {
        let later = Tensor::ones([length, length], (Kind::Bool, q.device())).triu(1);
        scores.masked_fill(&later, f64::NEG_INFINITY)
    } else {
        scores
    };
    scores.softmax(-1, None).matmul(v)
}

fn activation(x: &Tensor, quick: bool) -> Tensor {
    if quick { x * (x * 1.702).sigmoid() } else { x.gelu("none") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_attention_is_libtorchs() {
        let random = || Tensor::randn([2, 3, 7, 8], (Kind::Float, Device::Cpu));
        let (q, k, v) = (random(), random(), random());
        for causal in [false, true] {
            let mask = None::<&Tensor>;
            let fused =
                Tensor::scaled_dot_product_attention(&q, &k, &v, mask, 0.0, causal, None, false);
            assert!(plain_attention(&q, &k, &v, causal).allclose(&fused, 1e-5, 1e-6, false));
        }
    }
}
