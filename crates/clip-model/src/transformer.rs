//! The residual attention block, shared by both towers.

use std::rc::Rc;

use clip_torch::After;
use clip_torch::tch::{Device, Kind, Tensor};

use crate::config::hidden;
use crate::init::{Init, ZEROS};
use crate::layers::{LayerNorm, Linear};
use crate::linear_map::LinearMap;
use crate::params::Params;
use crate::pass::Pass;

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
    pub mlp_ratio: f64,
    pub quick_gelu: bool,
    pub init: BlockInit,
}

/// The function between the layers of the perceptron.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activation {
    Gelu,
    QuickGelu,
    /// QuickGELU whose factors are in the layers.
    ScaledSilu,
}

/// Attention and a two-layer perceptron, each after a layer norm and added to its input.
pub(crate) struct Block {
    shape: BlockShape,
    activation: Activation,
    in_proj: LinearMap,
    out_proj: LinearMap,
    ln_1: LayerNorm,
    c_fc: LinearMap,
    c_proj: LinearMap,
    ln_2: LayerNorm,
}

impl Block {
    pub fn new(params: &mut Params, name: &str, shape: BlockShape) -> Self {
        let w = shape.width;
        let hidden = hidden(w, shape.mlp_ratio);
        let [input, output, fc, proj] = match shape.init {
            BlockInit::Default => {
                [Init::xavier(3 * w, w), Init::fan_in(w), Init::fan_in(w), Init::fan_in(hidden)]
            }
            BlockInit::Text { layers } => {
                let std = (w as f64).powf(-0.5);
                let residual = Init::Normal(std * (2.0 * layers as f64).powf(-0.5));
                [Init::Normal(std), residual, Init::per_width(2 * w), residual]
            }
        };
        // Names and order are those of open_clip's state dict.
        let ln_1 = LayerNorm::new(params, &format!("{name}.ln_1"), w);
        let in_weight = params.weight(format!("{name}.attn.in_proj_weight"), &[3 * w, w], input);
        let in_bias = params.weight(format!("{name}.attn.in_proj_bias"), &[3 * w], ZEROS);
        let out_proj =
            Linear::with_bias(params, &format!("{name}.attn.out_proj"), w, w, output, ZEROS);
        let ln_2 = LayerNorm::new(params, &format!("{name}.ln_2"), w);
        let c_fc = Linear::new(params, &format!("{name}.mlp.c_fc"), w, hidden, fc);
        let c_proj = Linear::new(params, &format!("{name}.mlp.c_proj"), hidden, w, proj);
        let activation = if shape.quick_gelu { Activation::QuickGelu } else { Activation::Gelu };
        let in_proj = LinearMap::Plain(Linear::of(in_weight, in_bias));
        let [out_proj, c_fc, c_proj] = [out_proj, c_fc, c_proj].map(LinearMap::Plain);
        Self { shape, activation, in_proj, out_proj, ln_1, c_fc, c_proj, ln_2 }
    }

    /// `x` and the result are [batch, length, width]; `later` is [`later`] of a causal tower.
    pub fn forward(&self, x: &Tensor, later: Option<&Tensor>) -> Tensor {
        let x = self.out_proj.forward_plus(&self.attention(&self.ln_1.forward(x), later), x);
        self.perceptron(&x)
    }

    /// The result at one position of each sequence alone, [batch, width]: the first, or [batch]
    /// `ends` of a causal tower. What a tower gives is read at one position of its last block,
    /// so the rest of it need not be computed.
    pub fn forward_one(&self, x: &Tensor, ends: Option<&Tensor>) -> Tensor {
        let one = position(x, ends).contiguous();
        let mixed = self.attention_of_one(&self.ln_1.forward(x), ends);
        self.perceptron(&self.out_proj.forward_plus(&mixed, &one))
    }

    /// `x` plus the perceptron of it.
    fn perceptron(&self, x: &Tensor) -> Tensor {
        let norm = self.ln_2.forward(x);
        let hidden = match self.activation {
            Activation::Gelu => self.c_fc.forward(&norm, After::Gelu),
            Activation::QuickGelu => {
                let hidden = self.c_fc.forward(&norm, After::Nothing);
                &hidden * (&hidden * QUICK).sigmoid_()
            }
            Activation::ScaledSilu => self.c_fc.forward(&norm, After::Silu),
        };
        self.c_proj.forward_plus(&hidden, x)
    }

    /// What the heads found, before the last map.
    fn attention(&self, x: &Tensor, later: Option<&Tensor>) -> Tensor {
        let (batch, length, width) = (x.size()[0], x.size()[1], self.shape.width);
        let heads = self.shape.heads;
        let qkv = self
            .in_proj
            .forward(x, After::Nothing)
            .view([batch, length, 3, heads, width / heads])
            .permute([2, 0, 3, 1, 4]);
        let (q, k, v) = (qkv.get(0), qkv.get(1), qkv.get(2));
        let mixed = if x.device() == Device::Cpu && length <= SHORT {
            plain_attention(&q, &k, &v, later)
        } else {
            let (mask, causal) = (None::<&Tensor>, later.is_some());
            Tensor::scaled_dot_product_attention(&q, &k, &v, mask, 0.0, causal, None, false)
        };
        mixed.transpose(1, 2).reshape([batch, length, width])
    }

    fn attention_of_one(&self, x: &Tensor, ends: Option<&Tensor>) -> Tensor {
        let (batch, length, width) = (x.size()[0], x.size()[1], self.shape.width);
        let heads = self.shape.heads;
        let (q, kv) = match &self.in_proj {
            LinearMap::Plain(map) => {
                let q = map.outputs(0, width).forward(&position(x, ends));
                (q, map.outputs(width, 2 * width).forward(x))
            }
            // Its outputs are computed together.
            LinearMap::Packed(_) => {
                let all = self.in_proj.forward(x, After::Nothing);
                (position(&all.narrow(2, 0, width), ends), all.narrow(2, width, 2 * width))
            }
        };
        let q = q.reshape([batch, heads, 1, width / heads]);
        let kv = kv.reshape([batch, length, 2, heads, width / heads]).permute([2, 0, 3, 1, 4]);
        let later = ends.map(|ends| {
            let positions = Tensor::arange(length, (Kind::Int64, x.device()));
            positions.gt_tensor(&ends.view([batch, 1, 1, 1]))
        });
        let mixed = plain_attention(&q, &kv.get(0), &kv.get(1), later.as_ref());
        mixed.reshape([batch, width])
    }

    /// The same in another type, with QuickGELU as one operation: `x sigmoid(1.702 x)` is
    /// `silu(1.702 x) / 1.702`, and both factors go into the maps around it.
    pub fn for_inference(&self, kind: Kind) -> Self {
        let quick = self.activation == Activation::QuickGelu;
        let (fc, proj) = if quick { (QUICK, 1.0 / QUICK) } else { (1.0, 1.0) };
        Self {
            shape: self.shape,
            activation: if quick { Activation::ScaledSilu } else { self.activation },
            in_proj: self.in_proj.for_inference(1.0, 1.0, kind),
            out_proj: self.out_proj.for_inference(1.0, 1.0, kind),
            ln_1: self.ln_1.cast(kind),
            c_fc: self.c_fc.for_inference(fc, fc, kind),
            c_proj: self.c_proj.for_inference(proj, 1.0, kind),
            ln_2: self.ln_2.cast(kind),
        }
    }
}

/// `x` [batch, length, width] through the blocks of a tower, to the same shape.
pub(crate) fn run_blocks(blocks: &[Rc<Block>], x: &Tensor, causal: bool, pass: Pass) -> Tensor {
    let later = causal.then(|| later(x.size()[1], x.device()));
    let mut x = x.shallow_clone();
    for block in blocks {
        let (block, later) = (Rc::clone(block), later.as_ref().map(Tensor::shallow_clone));
        x = pass.segment(&x, move |x| block.forward(x, later.as_ref()));
    }
    x
}

/// The same at one position of each sequence alone, [batch, width]: see [`Block::forward_one`].
pub(crate) fn run_blocks_to_one(
    blocks: &[Rc<Block>],
    x: &Tensor,
    ends: Option<&Tensor>,
    pass: Pass,
) -> Tensor {
    let Some((last, others)) = blocks.split_last() else { return position(x, ends) };
    let x = run_blocks(others, x, ends.is_some(), pass);
    let (last, ends) = (Rc::clone(last), ends.map(Tensor::shallow_clone));
    pass.segment(&x, move |x| last.forward_one(x, ends.as_ref()))
}

/// Longest sequence whose attention is two plain products on the processor: libtorch's fused kernel
/// makes many small ones there, and a training step of the demo's model takes 1.5 times as long
/// with it.
const SHORT: i64 = 256;

/// The factor in QuickGELU.
const QUICK: f64 = 1.702;

/// The first position of `x` [batch, length, width], or the one that `ends` [batch] gives: [batch,
/// width].
fn position(x: &Tensor, ends: Option<&Tensor>) -> Tensor {
    let Some(ends) = ends else { return x.select(1, 0) };
    let ends = ends.view([-1, 1, 1]).expand([-1, 1, x.size()[2]], false);
    x.gather(1, &ends, false).squeeze_dim(1)
}

/// [length, length], true where the column is later than the row.
fn later(length: i64, device: Device) -> Tensor {
    Tensor::ones([length, length], (Kind::Bool, device)).triu(1)
}

/// `q`, `k`, `v` and the result are [batch, heads, length, width / heads]; `q` and the result may
/// have another length than `k` and `v`.
fn plain_attention(q: &Tensor, k: &Tensor, v: &Tensor, later: Option<&Tensor>) -> Tensor {
    let width = q.size()[3];
    let mut scores = (q * (width as f64).powf(-0.5)).matmul(&k.transpose(-2, -1));
    if let Some(later) = later {
        scores = scores.masked_fill_(later, f64::NEG_INFINITY);
    }
    scores.softmax(-1, None).matmul(v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_position_is_that_of_all() {
        let mut params = Params::fresh(Device::Cpu);
        let init = BlockInit::Default;
        let shape = BlockShape { width: 8, heads: 2, mlp_ratio: 4.0, quick_gelu: true, init };
        let block = Block::new(&mut params, "block", shape);
        let x = Tensor::randn([3, 5, 8], (Kind::Float, Device::Cpu));
        let near = |a: &Tensor, b: &Tensor| a.allclose(b, 1e-5, 1e-6, false);
        assert!(near(&block.forward_one(&x, None), &block.forward(&x, None).select(1, 0)));
        let (ends, later) = (Tensor::from_slice(&[4i64, 0, 2]), later(5, Device::Cpu));
        let all = position(&block.forward(&x, Some(&later)), Some(&ends));
        assert!(near(&block.forward_one(&x, Some(&ends)), &all));
    }

    #[test]
    fn plain_attention_is_libtorchs() {
        let random = || Tensor::randn([2, 3, 7, 8], (Kind::Float, Device::Cpu));
        let (q, k, v) = (random(), random(), random());
        for causal in [false, true] {
            let mask = None::<&Tensor>;
            let fused =
                Tensor::scaled_dot_product_attention(&q, &k, &v, mask, 0.0, causal, None, false);
            let later = causal.then(|| later(7, Device::Cpu));
            assert!(
                plain_attention(&q, &k, &v, later.as_ref()).allclose(&fused, 1e-5, 1e-6, false)
            );
        }
    }
}
