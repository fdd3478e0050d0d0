//! AdamW (Loshchilov and Hutter 2019) in one kernel, with its state in the open.
#![allow(unsafe_code, reason = "calls the shim")]

use tch::{Device, Kind, Tensor};

use crate::{Result, ffi};

/// Moments of a list of parameters.
pub struct AdamW {
    /// First moments, shaped like the parameters.
    pub exp_avg: Vec<Tensor>,
    /// Second moments, shaped like the parameters.
    pub exp_avg_sq: Vec<Tensor>,
    /// Steps taken, a 0-dim f32 for each parameter.
    pub steps: Vec<Tensor>,
    /// Decay rates of the moments.
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

impl AdamW {
    /// Zero moments for `params`.
    pub fn new(params: &[Tensor], betas: (f64, f64), eps: f64, weight_decay: f64) -> Self {
        let zeros = || params.iter().map(Tensor::zeros_like).collect::<Vec<_>>();
        let step = |_| Tensor::zeros([], (Kind::Float, Device::Cpu));
        let (exp_avg, exp_avg_sq) = (tch::no_grad(zeros), tch::no_grad(zeros));
        Self {
            exp_avg,
            exp_avg_sq,
            steps: params.iter().map(step).collect(),
            betas,
            eps,
            weight_decay,
        }
    }

    /// Updates `params` in place by their gradients; one without a gradient stays as it is.
    pub fn step(&mut self, params: &[Tensor], lr: f64) -> Result<()> {
        let grads: Vec<Tensor> = params.iter().map(Tensor::grad).collect();
        let with: Vec<usize> = (0..params.len()).filter(|&i| grads[i].defined()).collect();
        let pick = |all: &[Tensor]| {
            let chosen: Vec<Tensor> = with.iter().map(|&i| all[i].shallow_clone()).collect();
            chosen
        };
        let lists = [params, &grads, &self.exp_avg, &self.exp_avg_sq, &self.steps].map(pick);
        let [p, g, m, v, s] = [0, 1, 2, 3, 4].map(|at: usize| ffi::pointers(&lists[at]));
        // SAFETY: five lists of live tensors of the same length, held by `lists` over the call.
        ffi::checked(unsafe {
            ffi::ct_adamw(
                p.as_ptr(),
                g.as_ptr(),
                m.as_ptr(),
                v.as_ptr(),
                s.as_ptr(),
                with.len() as i32,
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

    #[test]
    fn one_step_is_the_textbooks() {
        let param = Tensor::ones([3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        (&param * 0.1).sum(Kind::Float).backward();
        let params = [param];
        let mut adam = AdamW::new(&params, (0.9, 0.98), 1e-6, 0.2);
        adam.step(&params, 5e-4).unwrap();
        let expected = 1.0 - 5e-4 * 0.2 - 5e-4 * (0.1 / (0.1 + 1e-6));
        assert!((params[0].double_value(&[0]) - expected).abs() < 1e-7);
        assert_eq!(adam.steps[0].double_value(&[]), 1.0);
    }
}
