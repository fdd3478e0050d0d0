//! The layers that the towers are made of, with torch.nn's names and PyTorch's or OpenAI's initial
//! values.

use std::cell::OnceCell;

use clip_torch::tch::{Device, Kind, Tensor};
use clip_torch::{PackedConv, statistics_frozen};

use crate::init::{Init, ONES, ZEROS};
use crate::params::Params;

/// Layer normalisation with gain and bias, computed in 32 bits.
pub(crate) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    pub fn new(params: &mut Params, name: &str, width: i64) -> Self {
        let weight = params.weight(format!("{name}.weight"), &[width], ONES);
        let bias = params.weight(format!("{name}.bias"), &[width], ZEROS);
        Self { weight, bias }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), 1e-5, false)
    }

    /// The same in another type.
    pub fn cast(&self, kind: Kind) -> Self {
        Self { weight: self.weight.to_kind(kind), bias: self.bias.to_kind(kind) }
    }
}

/// An affine map of the last dimension.
pub(crate) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// `init` draws the weight; the bias is PyTorch's default.
    pub fn new(params: &mut Params, name: &str, input: i64, output: i64, init: Init) -> Self {
        Self::with_bias(params, name, input, output, init, Init::fan_in(input))
    }

    pub fn with_bias(
        params: &mut Params,
        name: &str,
        input: i64,
        output: i64,
        init: Init,
        bias: Init,
    ) -> Self {
        let weight = params.weight(format!("{name}.weight"), &[output, input], init);
        let bias = params.weight(format!("{name}.bias"), &[output], bias);
        Self { weight, bias }
    }

    /// Of a weight [output, input] and a bias [output].
    pub fn of(weight: Tensor, bias: Tensor) -> Self {
        Self { weight, bias }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }

    /// The map to some of the outputs.
    pub fn outputs(&self, first: i64, count: i64) -> Self {
        Self {
            weight: self.weight.narrow(0, first, count),
            bias: self.bias.narrow(0, first, count),
        }
    }

    /// [output, input] and [output].
    pub fn weight_and_bias(&self) -> (&Tensor, &Tensor) {
        (&self.weight, &self.bias)
    }

    /// The same map with its weight and its bias multiplied, in another type.
    pub fn scaled(&self, weight: f64, bias: f64, kind: Kind) -> Self {
        Self {
            weight: (&self.weight * weight).to_kind(kind),
            bias: (&self.bias * bias).to_kind(kind),
        }
    }

    /// The same map in another type.
    pub fn cast(&self, kind: Kind) -> Self {
        Self { weight: self.weight.to_kind(kind), bias: self.bias.to_kind(kind) }
    }
}

/// A convolution.
pub(crate) struct Conv {
    weight: Tensor,
    bias: Option<Tensor>,
    stride: i64,
    padding: i64,
}

impl Conv {
    /// `kernel` x `kernel`, without bias, drawn as PyTorch's default.
    pub fn new(
        params: &mut Params,
        name: &str,
        [input, output]: [i64; 2],
        kernel: i64,
        stride: i64,
        padding: i64,
    ) -> Self {
        let shape = [output, input, kernel, kernel];
        let init = Init::fan_in(input * kernel * kernel);
        let weight = params.weight(format!("{name}.weight"), &shape, init);
        Self { weight, bias: None, stride, padding }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
        x.conv2d(&self.weight, self.bias.as_ref(), stride, padding, [1, 1], 1)
    }

    /// The same in another type.
    pub fn cast(&self, kind: Kind) -> Self {
        let bias = self.bias.as_ref().map(|bias| bias.to_kind(kind));
        Self { weight: self.weight.to_kind(kind), bias, ..*self }
    }
}

/// A convolution and the batch normalisation of its output.
pub(crate) struct ConvNorm {
    conv: Conv,
    norm: Option<BatchNorm>,
    /// Of a folded one on the processor, from its first use on; none where it cannot be packed.
    packed: OnceCell<Option<PackedConv>>,
}

impl ConvNorm {
    pub fn new(conv: Conv, norm: BatchNorm) -> Self {
        Self { conv, norm: Some(norm), packed: OnceCell::new() }
    }

    /// The normalised convolution; plus `sum`, whose memory it may take; and of that the positive
    /// part.
    pub fn forward(&self, x: &Tensor, sum: Option<Tensor>, relu: bool, mode: Mode) -> Tensor {
        if let Some(packed) = self.packed(x) {
            return packed.forward(x, sum, relu).unwrap_or_else(|e| panic!("{e}"));
        }
        let x = self.conv.forward(x);
        let mut x = self.norm.as_ref().map_or_else(|| x.shallow_clone(), |n| n.forward(&x, mode));
        if let Some(sum) = sum {
            x += sum;
        }
        if relu { x.relu_() } else { x }
    }

    fn packed(&self, x: &Tensor) -> Option<&PackedConv> {
        let (None, Some(bias), Device::Cpu) = (&self.norm, &self.conv.bias, x.device()) else {
            return None;
        };
        let Conv { weight, stride, padding, .. } = &self.conv;
        let pack = || PackedConv::new(x, weight, bias, *stride, *padding).ok();
        self.packed.get_or_init(pack).as_ref()
    }

    /// One convolution that does both by the running statistics, with its channels last in memory.
    /// To compute with only.
    pub fn folded(&self, kind: Kind) -> Self {
        let conv = &self.conv;
        let (weight, bias) = match &self.norm {
            Some(norm) => {
                let gain = &norm.weight / (&norm.var + EPSILON).sqrt();
                (&conv.weight * gain.view([-1, 1, 1, 1]), Some(&norm.bias - &norm.mean * gain))
            }
            None => (conv.weight.shallow_clone(), conv.bias.as_ref().map(Tensor::shallow_clone)),
        };
        let weight = weight.to_kind(kind).permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        let bias = bias.map(|bias| bias.to_kind(kind));
        let conv = Conv { weight, bias, ..*conv };
        Self { conv, norm: None, packed: OnceCell::new() }
    }
}

const EPSILON: f64 = 1e-5;

/// Batch normalisation with running statistics, always in 32 bits.
pub(crate) struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
    batches: Tensor,
}

impl BatchNorm {
    /// `gain` is what the weight begins with.
    pub fn new(params: &mut Params, name: &str, width: i64, gain: Init) -> Self {
        let of = |part: &str| format!("{name}.{part}");
        Self {
            weight: params.weight_f32(of("weight"), &[width], gain),
            bias: params.weight_f32(of("bias"), &[width], ZEROS),
            mean: params.buffer(of("running_mean"), &[width], ZEROS, Kind::Float),
            var: params.buffer(of("running_var"), &[width], ONES, Kind::Float),
            batches: params.buffer(of("num_batches_tracked"), &[], ZEROS, Kind::Int64),
        }
    }

    /// By the batch's own statistics, which move the running ones, or by the running ones.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let moves = mode == Mode::Train && !statistics_frozen();
        if moves {
            let _ = self.batches.shallow_clone().g_add_scalar_(1);
        }
        let momentum = if moves { 0.1 } else { 0.0 };
        let (w, b, m, v) = (&self.weight, &self.bias, &self.mean, &self.var);
        let own = mode != Mode::Eval;
        x.batch_norm(Some(w), Some(b), Some(m), Some(v), own, momentum, EPSILON, true)
    }
}

/// What batch normalisation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Normalise by the running statistics.
    Eval,
    /// Normalise by the batch's statistics, and move the running ones.
    Train,
    /// Normalise by the batch's statistics and leave the running ones: a second pass over the same
    /// batch, as in gradient checkpointing and cached-embedding accumulation.
    Recompute,
}
