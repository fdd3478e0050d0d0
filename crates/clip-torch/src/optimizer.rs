//! AdamW (Loshchilov and Hutter 2019) with its state in the open: in one kernel, or with moments in
//! 16 bits.
#![allow(unsafe_code, reason = "calls the shim")]

use std::ffi::c_int;

use clip_random::mix;
use tch::{Kind, Tensor, no_grad};

use crate::{Result, Stream, ffi, round_stochastically};

/// How moments are kept between steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Moments {
    /// float32.
    #[default]
    F32,
    /// float16 with one float32 scale a tensor ("half-precision Adam statistics", CLIP paper,
    /// section 2.5, after Dhariwal et al. 2020). Of the second moment the root is kept: its
    /// square would leave float16's range.
    F16,
}

/// Moments of a list of parameters.
///
/// A parameter in float16 is updated in float32 and rounded stochastically.
pub struct AdamW {
    /// First moments, shaped like the parameters; in [`Moments::F16`] to be multiplied with their
    /// scale.
    pub exp_avg: Vec<Tensor>,
    /// Second moments, shaped like the parameters; in [`Moments::F16`] their roots over their
    /// scale.
    pub exp_avg_sq: Vec<Tensor>,
    /// In [`Moments::F16`] the scales of both moments, `[2]` in float32 for each parameter; else
    /// none.
    pub scales: Vec<Tensor>,
    /// Steps taken, a 0-dim f32 on the device of each parameter.
    pub steps: Vec<Tensor>,
    /// Decay rates of the moments.
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Seed of the next step's rounding of parameters in float16: another one for each step, and
    /// the same on all processes that keep copies of the parameters.
    pub seed: u64,
}

impl AdamW {
    /// Zero moments for `params`.
    pub fn new(
        params: &[Tensor],
        betas: (f64, f64),
        eps: f64,
        weight_decay: f64,
        moments: Moments,
    ) -> Self {
        let half = moments == Moments::F16;
        let kind = if half { Kind::Half } else { Kind::Float };
        let zero = |param: &Tensor| Tensor::zeros(param.size(), (kind, param.device()));
        let zeros = || params.iter().map(zero).collect::<Vec<_>>();
        let scale = |param: &Tensor| Tensor::zeros([2], (Kind::Float, param.device()));
        let step = |param: &Tensor| Tensor::zeros([], (Kind::Float, param.device()));
        Self {
            exp_avg: zeros(),
            exp_avg_sq: zeros(),
            scales: if half { params.iter().map(scale).collect() } else { Vec::new() },
            steps: params.iter().map(step).collect(),
            betas,
            eps,
            weight_decay,
            seed: 0,
        }
    }

    /// Bytes of all moments.
    pub fn bytes(&self) -> usize {
        let of = |tensor: &Tensor| tensor.numel() * tensor.kind().elt_size_in_bytes();
        self.exp_avg.iter().chain(&self.exp_avg_sq).chain(&self.scales).map(of).sum()
    }

    /// First moment, second moment and steps of a parameter, in 32 bits.
    pub fn full(&self, at: usize) -> (Tensor, Tensor, Tensor) {
        no_grad(|| {
            let (m, v) = (&self.exp_avg[at], &self.exp_avg_sq[at]);
            let step = self.steps[at].copy();
            let Some(scale) = self.scales.get(at) else { return (m.copy(), v.copy(), step) };
            let wide = |tensor: &Tensor, row| tensor.to_kind(Kind::Float) * scale.get(row);
            (wide(m, 0), wide(v, 1).square(), step)
        })
    }

    /// Takes over what [`AdamW::full`] gives.
    pub fn set_full(&mut self, at: usize, m: &Tensor, v: &Tensor, step: &Tensor) -> Result<()> {
        no_grad(|| {
            self.steps[at].f_copy_(step)?;
            let (m, v) = (m.to_kind(Kind::Float), v.to_kind(Kind::Float));
            self.keep(at, &m, &v)
        })
    }

    /// Stores both moments as they are kept.
    fn keep(&self, at: usize, m: &Tensor, v: &Tensor) -> Result<()> {
        let kept = [&self.exp_avg[at], &self.exp_avg_sq[at]];
        let Some(scales) = self.scales.get(at) else {
            kept[0].shallow_clone().f_copy_(m)?;
            kept[1].shallow_clone().f_copy_(v)?;
            return Ok(());
        };
        for (row, (full, kept)) in [m.shallow_clone(), v.sqrt()].iter().zip(kept).enumerate() {
            let scale = full.abs().max().to_device(scales.device()) / 65_504.0 + 1e-12;
            kept.shallow_clone().f_copy_(&(full / scale.to_device(full.device())))?;
            scales.get(row as i64).f_copy_(&scale)?;
        }
        Ok(())
    }

    /// Updates `params` in place by their gradients; one without a gradient stays as it is.
    pub fn step(&mut self, params: &[Tensor], lr: f64) -> Result<()> {
        let mut plain: [Vec<Tensor>; 5] = Default::default();
        for (at, param) in params.iter().enumerate() {
            let grad = param.grad();
            if !grad.defined() {
                continue;
            }
            if param.kind() == Kind::Float && self.scales.is_empty() {
                let state = [&self.exp_avg[at], &self.exp_avg_sq[at], &self.steps[at]];
                plain[0].push(param.shallow_clone());
                plain[1].push(grad);
                for (list, tensor) in plain[2..].iter_mut().zip(state) {
                    list.push(tensor.shallow_clone());
                }
            } else {
                no_grad(|| self.step_small(at, param, &grad, lr))?;
            }
        }
        self.kernel(&plain, lr)
    }

    /// One parameter whose value or moments are in 16 bits: widened, updated, narrowed.
    fn step_small(&mut self, at: usize, param: &Tensor, grad: &Tensor, lr: f64) -> Result<()> {
        let wide = |tensor: &Tensor| tensor.to_kind(Kind::Float);
        let half = !self.scales.is_empty();
        let (m, v) = if half {
            let scale = &self.scales[at];
            let root = wide(&self.exp_avg_sq[at]) * scale.get(1);
            (wide(&self.exp_avg[at]) * scale.get(0), root.square())
        } else {
            (self.exp_avg[at].shallow_clone(), self.exp_avg_sq[at].shallow_clone())
        };
        let value = if param.kind() == Kind::Float {
            param.detach()
        } else {
            param.detach().to_kind(Kind::Float)
        };
        let lists = [
            vec![value.shallow_clone()],
            vec![wide(grad)],
            vec![m.shallow_clone()],
            vec![v.shallow_clone()],
            vec![self.steps[at].shallow_clone()],
        ];
        self.kernel(&lists, lr)?;
        if half {
            self.keep(at, &m, &v)?;
        }
        if param.kind() != Kind::Float {
            let stream = Stream::new(mix(self.seed, at as u64, 0));
            param.detach().f_copy_(&round_stochastically(&value, stream))?;
        }
        Ok(())
    }

    /// The update of float32 tensors: parameters, gradients, both moments, steps.
    fn kernel(&self, lists: &[Vec<Tensor>; 5], lr: f64) -> Result<()> {
        let [p, g, m, v, s] = [0, 1, 2, 3, 4].map(|at: usize| ffi::pointers(&lists[at]));
        // SAFETY: five lists of live tensors of the same length, held by `lists` over the call.
        ffi::checked(unsafe {
            ffi::ct_adamw(
                p.as_ptr(),
                g.as_ptr(),
                m.as_ptr(),
                v.as_ptr(),
                s.as_ptr(),
                p.len() as c_int,
                lr,
                self.betas.0,
                self.betas.1,
                self.weight_decay,
                self.eps,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn ones(n: i64) -> Tensor {
        Tensor::ones([n], (Kind::Float, Device::Cpu))
    }

    #[test]
    fn one_step_is_the_textbooks() {
        for moments in [Moments::F32, Moments::F16] {
            let param = ones(3).set_requires_grad(true);
            (&param * 0.1).sum(Kind::Float).backward();
            let params = [param];
            let mut adam = AdamW::new(&params, (0.9, 0.98), 1e-6, 0.2, moments);
            adam.step(&params, 5e-4).unwrap();
            let expected = 1.0 - 5e-4 * 0.2 - 5e-4 * (0.1 / (0.1 + 1e-6));
            assert!((params[0].double_value(&[0]) - expected).abs() < 1e-6);
            assert_eq!(adam.steps[0].double_value(&[]), 1.0);
        }
    }

    /// A small regression, trained with both: the same curve, half the bytes.
    #[test]
    fn moments_in_16_bits_learn_alike() {
        // Not of libtorch's generator, from which other tests draw meanwhile.
        let numbers = |key, count| {
            let bits = Stream::new(key).bits(0, count, Device::Cpu);
            bits.to_kind(Kind::Float) * (3f64.sqrt() / f64::from(1u32 << 31))
        };
        let x = numbers(1, 256 * 16).view([256, 16]);
        // Gradients of very different sizes in one tensor.
        let x = x * Tensor::logspace(-3.0, 1.0, 16, 10.0, (Kind::Float, Device::Cpu));
        let y = x.matmul(&numbers(2, 16).view([16, 1]));
        let train = |moments| {
            let w = Tensor::zeros([16, 1], (Kind::Float, Device::Cpu)).set_requires_grad(true);
            let params = [w.shallow_clone()];
            let mut adam = AdamW::new(&params, (0.9, 0.98), 1e-6, 0.0, moments);
            for _ in 0..300 {
                crate::clear_gradients(&params);
                (x.matmul(&w) - &y).square().mean(Kind::Float).backward();
                adam.step(&params, 1e-2).unwrap();
            }
            let loss = (x.matmul(&w) - &y).square().mean(Kind::Float).double_value(&[]);
            (loss, adam.bytes(), w)
        };
        let ((full, bytes, a), (half, fewer, b)) = (train(Moments::F32), train(Moments::F16));
        assert_eq!((bytes, fewer), (128, 64 + 8));
        assert!((full - half).abs() < 0.02 * full + 1e-6, "{full} against {half}");
        assert!((a - b).abs().max().double_value(&[]) < 0.02);
    }

    #[test]
    fn a_weight_in_16_bits_learns_from_updates_below_its_last_bit() {
        let mut param = ones(4096);
        param.set_data(&ones(4096).to_kind(Kind::Half));
        let param = param.set_requires_grad(true);
        let params = [param.shallow_clone()];
        let mut adam = AdamW::new(&params, (0.9, 0.98), 1e-6, 0.0, Moments::F32);
        for step in 0..20 {
            adam.seed = step;
            crate::clear_gradients(&params);
            (&param * 1.0).sum(Kind::Float).backward();
            // The spacing below 1 is 4.9e-4: rounding to the nearest would never move.
            adam.step(&params, 1e-4).unwrap();
        }
        assert_eq!(param.kind(), Kind::Half);
        let mean = param.to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
        assert!((mean - (1.0 - 20.0 * 1e-4)).abs() < 5e-5, "{mean}");
    }
}
