//! Muon (Jordan et al. 2024): the momentum of a matrix with its singular values brought near 1.

use clip_model::pt::Value;
use clip_torch::tch::{Kind, Tensor, no_grad};

use super::optimizer::{Optimizer, keep_value, zeros};
use crate::{Recipe, Result};

/// `torch.optim.Muon` with `adjust_lr_fn="match_rms_adamw"` (Liu et al. 2025, arXiv 2502.16982):
/// the learning rate and the decay of AdamW serve for it, too.
pub(super) struct MuonGroup {
    momenta: Vec<Tensor>,
    momentum: f64,
    weight_decay: f64,
}

/// Coefficients of the quintic iteration.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.7750, 2.0315];
/// Iterations.
const ITERATIONS: i64 = 5;
/// The least norm that is divided by.
const LEAST: f64 = 1e-7;

impl MuonGroup {
    pub fn new(recipe: &Recipe, params: &[Tensor], weight_decay: f64) -> Self {
        let momenta = zeros(params);
        Self { momenta, momentum: recipe.momentum, weight_decay }
    }
}

/// A matrix with the same singular vectors, and singular values of 0.7 to 1.2, in bfloat16:
/// Newton's and Schulz's iteration.
fn orthogonal(matrix: &Tensor) -> Result<Tensor> {
    let tall = matrix.size()[0] > matrix.size()[1];
    let turned = |x: Tensor| if tall { x.f_transpose(0, 1) } else { Ok(x) };
    let x = turned(matrix.f_to_kind(Kind::BFloat16)?)?;
    let x = x.f_div(&x.f_norm()?.f_clamp_min(LEAST)?)?;
    let [a, b, c] = COEFFICIENTS;
    // One product of a batch: tch's plain one has no factors.
    let mut x = x.f_unsqueeze(0)?;
    for _ in 0..ITERATIONS {
        let gram = x.f_bmm(&x.f_transpose(1, 2)?)?;
        let update = gram.f_baddbmm(&gram, &gram, b, c)?;
        x = x.f_baddbmm(&update, &x, a, 1.0)?;
    }
    Ok(turned(x.f_squeeze_dim(0)?)?)
}

impl Optimizer for MuonGroup {
    fn step(&mut self, params: &[Tensor], lr: f64, seed: u64) -> Result<()> {
        for (at, (param, buffer)) in params.iter().zip(&self.momenta).enumerate() {
            let grad = param.grad();
            if !grad.defined() {
                continue;
            }
            no_grad(|| -> Result<()> {
                let grad = grad.f_to_kind(Kind::Float)?;
                let _ = buffer.shallow_clone().f_lerp_(&grad, 1.0 - self.momentum)?;
                // Nesterov's.
                let update = orthogonal(&grad.f_lerp(buffer, self.momentum)?)?;
                let longer = param.size().into_iter().max().unwrap_or(1) as f64;
                let update =
                    update.f_to_kind(Kind::Float)?.f_mul_scalar(lr * 0.2 * longer.sqrt())?;
                let value =
                    param.f_to_kind(Kind::Float)?.f_mul_scalar(1.0 - lr * self.weight_decay)?;
                keep_value(param, &value.f_sub(&update)?, seed, at)
            })?;
        }
        Ok(())
    }

    fn moments(&self) -> (&'static str, &[Tensor]) {
        ("momentum_buffer", &self.momenta)
    }

    fn settings(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("weight_decay", self.weight_decay.into()),
            ("momentum", self.momentum.into()),
            ("nesterov", true.into()),
            ("ns_coefficients", Value::Tuple(COEFFICIENTS.map(Value::from).into())),
            ("eps", LEAST.into()),
            ("ns_steps", Value::Int(ITERATIONS)),
            ("adjust_lr_fn", "match_rms_adamw".into()),
        ]
    }
}
