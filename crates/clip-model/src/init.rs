//! Initial values, as OpenAI's code and PyTorch's defaults draw them (CLIP, `model.py`, `initialize_parameters`).

use clip_torch::tch::{Device, Kind, Tensor};

const F32: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Normal with the standard deviation.
pub(crate) fn normal(shape: &[i64], std: f64) -> Tensor {
    Tensor::randn(shape, F32) * std
}

/// Uniform in [-bound, bound].
pub(crate) fn uniform(shape: &[i64], bound: f64) -> Tensor {
    (Tensor::rand(shape, F32) * 2.0 - 1.0) * bound
}

/// PyTorch's default for linear and convolution weights and biases: U(-1/sqrt(fan_in), 1/sqrt(fan_in)).
pub(crate) fn fan_in(shape: &[i64], fan_in: i64) -> Tensor {
    uniform(shape, 1.0 / (fan_in as f64).sqrt())
}

/// Xavier's uniform over [out, in].
pub(crate) fn xavier(out: i64, input: i64) -> Tensor {
    uniform(&[out, input], (6.0 / (out + input) as f64).sqrt())
}

pub(crate) fn zeros(shape: &[i64]) -> Tensor {
    Tensor::zeros(shape, F32)
}

pub(crate) fn ones(shape: &[i64]) -> Tensor {
    Tensor::ones(shape, F32)
}
