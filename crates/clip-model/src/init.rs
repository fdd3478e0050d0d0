//! Initial values, as OpenAI's code and PyTorch's defaults draw them (CLIP, `model.py`,
//! `initialize_parameters`).

use clip_torch::tch::{Device, Kind, Tensor};

const F32: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Where the values of a new tensor come from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Init {
    /// All the same.
    Constant(f64),
    /// Normal with the standard deviation.
    Normal(f64),
    /// Uniform in [-bound, bound].
    Uniform(f64),
}

/// All zero.
pub(crate) const ZEROS: Init = Init::Constant(0.0);
/// All one.
pub(crate) const ONES: Init = Init::Constant(1.0);

impl Init {
    /// PyTorch's default for linear and convolution weights and biases: U(-1/sqrt(fan_in),
    /// 1/sqrt(fan_in)).
    pub fn fan_in(fan_in: i64) -> Self {
        Self::Uniform(1.0 / (fan_in as f64).sqrt())
    }

    /// Xavier's uniform over [out, in].
    pub fn xavier(out: i64, input: i64) -> Self {
        Self::Uniform((6.0 / (out + input) as f64).sqrt())
    }

    /// Normal with the standard deviation `width^-0.5`.
    pub fn per_width(width: i64) -> Self {
        Self::Normal((width as f64).powf(-0.5))
    }

    /// A fresh tensor in f32.
    pub fn draw(self, shape: &[i64]) -> Tensor {
        match self {
            Self::Constant(value) => Tensor::full(shape, value, F32),
            Self::Normal(std) => Tensor::empty(shape, F32).normal_(0.0, std),
            Self::Uniform(bound) => Tensor::empty(shape, F32).uniform_(-bound, bound),
        }
    }
}
