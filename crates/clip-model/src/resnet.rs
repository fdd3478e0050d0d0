//! The modified ResNet (paper, section 2.4): a stem of three convolutions, strides that are
//! averaged before they skip (He et al. 2019's ResNet-D, Zhang 2019's antialiasing), attention in
//! place of the last pooling.

use std::rc::Rc;

use clip_torch::tch::{Kind, Tensor};

use crate::ModelConfig;
use crate::init::{Init, ONES, ZEROS};
use crate::layers::{BatchNorm, Conv, ConvNorm, Linear, Mode};
use crate::params::Params;
use crate::pass::Pass;

/// Output channels of a bottleneck, as a multiple of its inner ones.
const EXPANSION: i64 = 4;

pub(crate) struct ModifiedResNet {
    stem: [ConvNorm; 3],
    blocks: Vec<Rc<Bottleneck>>,
    attnpool: AttentionPool,
}

impl ModifiedResNet {
    /// Four stages of this many bottlenecks each.
    pub fn new(params: &mut Params, config: &ModelConfig, stages: [i64; 4]) -> Self {
        let w = config.vision_cfg.width;
        let mut layer = |at: i64, channels, stride| {
            let conv = Conv::new(params, &format!("visual.conv{at}"), channels, 3, stride, 1);
            let norm = BatchNorm::new(params, &format!("visual.bn{at}"), channels[1], ONES);
            ConvNorm::new(conv, norm)
        };
        let stem = [layer(1, [3, w / 2], 2), layer(2, [w / 2, w / 2], 1), layer(3, [w / 2, w], 1)];
        let mut blocks = Vec::new();
        let mut input = w;
        for (stage, count) in stages.into_iter().enumerate() {
            let inner = w << stage;
            for at in 0..count {
                let stride = if stage > 0 && at == 0 { 2 } else { 1 };
                let name = format!("visual.layer{}.{at}", stage + 1);
                blocks.push(Rc::new(Bottleneck::new(params, &name, input, inner, stride)));
                input = inner * EXPANSION;
            }
        }
        let attnpool = AttentionPool::new(params, config);
        Self { stem, blocks, attnpool }
    }

    /// Normalised pixels [batch, 3, size, size] to the features before the projection, [batch, 32
    /// width].
    pub fn features(&self, images: &Tensor, pass: Pass) -> Tensor {
        let mode = pass.mode;
        let mut x = images.shallow_clone();
        for layer in &self.stem {
            x = layer.forward(&x, None, true, mode);
        }
        x = average(&x, 2);
        for block in &self.blocks {
            let block = Rc::clone(block);
            x = pass.segment(&x, move |x| block.forward(x, mode));
        }
        self.attnpool.features(&x)
    }

    /// The same with each normalisation folded into its convolution.
    pub fn for_inference(&self, kind: Kind) -> Self {
        let pool = &self.attnpool;
        Self {
            stem: [0, 1, 2].map(|at: usize| self.stem[at].folded(kind)),
            blocks: self.blocks.iter().map(|block| Rc::new(block.for_inference(kind))).collect(),
            attnpool: AttentionPool {
                positional_embedding: pool.positional_embedding.to_kind(kind),
                k_proj: pool.k_proj.cast(kind),
                q_proj: pool.q_proj.cast(kind),
                v_proj: pool.v_proj.cast(kind),
                c_proj: pool.c_proj.cast(kind),
                heads: pool.heads,
                computes_only: true,
            },
        }
    }

    /// Features before the projection to the shared space.
    pub fn project(&self, features: &Tensor) -> Tensor {
        self.attnpool.c_proj.forward(features)
    }
}

/// Means of `side` x `side` cells.
fn average(x: &Tensor, side: i64) -> Tensor {
    x.avg_pool2d([side, side], [side, side], [0, 0], false, true, None)
}

/// Three convolutions around a shortcut; a stride is an average before the last of them.
struct Bottleneck {
    layers: [ConvNorm; 3],
    shortcut: Option<ConvNorm>,
    stride: i64,
}

impl Bottleneck {
    fn new(params: &mut Params, name: &str, input: i64, inner: i64, stride: i64) -> Self {
        let output = inner * EXPANSION;
        let mut layer = |at: i64, channels: [i64; 2], kernel, gain| {
            let conv =
                Conv::new(params, &format!("{name}.conv{at}"), channels, kernel, 1, kernel / 2);
            let norm = BatchNorm::new(params, &format!("{name}.bn{at}"), channels[1], gain);
            ConvNorm::new(conv, norm)
        };
        let layers = [
            layer(1, [input, inner], 1, ONES),
            layer(2, [inner, inner], 3, ONES),
            // Each block begins as its shortcut.
            layer(3, [inner, output], 1, ZEROS),
        ];
        let shortcut = (stride > 1 || input != output).then(|| {
            let conv = Conv::new(params, &format!("{name}.downsample.0"), [input, output], 1, 1, 0);
            let norm = BatchNorm::new(params, &format!("{name}.downsample.1"), output, ONES);
            ConvNorm::new(conv, norm)
        });
        Self { layers, shortcut, stride }
    }

    fn for_inference(&self, kind: Kind) -> Self {
        Self {
            layers: [0, 1, 2].map(|at: usize| self.layers[at].folded(kind)),
            shortcut: self.shortcut.as_ref().map(|layer| layer.folded(kind)),
            stride: self.stride,
        }
    }

    /// A folded block may put its result where `x` was.
    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let pooled =
            |x: &Tensor| if self.stride > 1 { average(x, self.stride) } else { x.shallow_clone() };
        let [first, second, third] = &self.layers;
        let y = first.forward(x, None, true, mode);
        let y = second.forward(&y, None, true, mode);
        let shortcut = match &self.shortcut {
            Some(layer) => layer.forward(&pooled(x), None, false, mode),
            None => x.shallow_clone(),
        };
        third.forward(&pooled(&y), Some(shortcut), true, mode)
    }
}

/// Attention of the mean cell over all cells. The other cells' queries are never used, so they are
/// not computed.
struct AttentionPool {
    positional_embedding: Tensor,
    k_proj: Linear,
    q_proj: Linear,
    v_proj: Linear,
    c_proj: Linear,
    heads: i64,
    computes_only: bool,
}

impl AttentionPool {
    fn new(params: &mut Params, config: &ModelConfig) -> Self {
        let v = &config.vision_cfg;
        let (width, grid) = (v.feature_width(), v.grid());
        let init = Init::per_width(width);
        let shape = [grid * grid + 1, width];
        let positional_embedding =
            params.weight("visual.attnpool.positional_embedding".into(), &shape, init);
        let mut map = |name: &str, output| {
            Linear::new(params, &format!("visual.attnpool.{name}_proj"), width, output, init)
        };
        let (k_proj, q_proj, v_proj) = (map("k", width), map("q", width), map("v", width));
        let c_proj = map("c", config.embed_dim);
        let heads = width / v.head_width;
        let computes_only = false;
        Self { positional_embedding, k_proj, q_proj, v_proj, c_proj, heads, computes_only }
    }

    /// [batch, width, grid, grid] to [batch, width].
    fn features(&self, x: &Tensor) -> Tensor {
        let x = x.flatten(2, 3).transpose(1, 2);
        let mean = x.mean_dim([1i64].as_slice(), true, None::<Kind>);
        let positions = self.positional_embedding.to_kind(x.kind());
        let x = Tensor::cat(&[mean, x], 1) + positions;
        let (batch, length, width) = x.size3().unwrap_or_default();
        let scale = ((width / self.heads) as f64).powf(-0.5);
        // Selected, not narrowed: of a view that is not contiguous, libtorch would copy the weight
        // for each image.
        let q = self.q_proj.forward(&x.select(1, 0)) * scale;
        if self.computes_only {
            return self.of_one_query(&q, &x);
        }
        let split = |y: Tensor, length| {
            y.view([batch, length, self.heads, width / self.heads]).transpose(1, 2)
        };
        let q = split(q, 1);
        let k = split(self.k_proj.forward(&x), length);
        let v = split(self.v_proj.forward(&x), length);
        let weights = q.matmul(&k.transpose(-2, -1)).softmax(-1, None::<Kind>);
        weights.matmul(&v).transpose(1, 2).reshape([batch, width])
    }

    /// The same result from `q` [batch, width] without a key or a value of any cell: with one
    /// query, its product with the keys' map and the map of the mean value are small. The keys'
    /// bias adds the same to all scores.
    fn of_one_query(&self, q: &Tensor, x: &Tensor) -> Tensor {
        let (heads, width) = (self.heads, q.size()[1]);
        let by_head = |weight: &Tensor| weight.view([heads, width / heads, width]);
        let (k, _) = self.k_proj.weight_and_bias();
        let (v, bias) = self.v_proj.weight_and_bias();
        // [heads, batch, width / heads] -> [batch, heads, width]
        let q = q.view([-1, heads, width / heads]).transpose(0, 1);
        let asked = q.matmul(&by_head(k)).transpose(0, 1);
        let weights = asked.matmul(&x.transpose(1, 2)).softmax(-1, None::<Kind>);
        let mixed = weights.matmul(x).transpose(0, 1).matmul(&by_head(v).transpose(1, 2));
        mixed.transpose(0, 1).reshape([-1, width]) + bias
    }
}
