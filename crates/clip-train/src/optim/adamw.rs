//! AdamW, with moments in 32 or 16 bits.

use clip_model::pt::Value;
use clip_torch::tch::Tensor;
use clip_torch::{AdamW, Moments};

use super::optimizer::Optimizer;
use crate::{AdamStats, Recipe, Result};

/// `torch.optim.AdamW`.
pub(super) struct AdamWGroup(AdamW);

impl AdamWGroup {
    pub fn new(recipe: &Recipe, params: &[Tensor], weight_decay: f64) -> Self {
        let moments = match recipe.adam_stats {
            AdamStats::Fp32 => Moments::F32,
            AdamStats::Fp16 => Moments::F16,
        };
        let betas = (recipe.beta1, recipe.beta2);
        Self(AdamW::new(params, betas, recipe.eps, weight_decay, moments))
    }
}

impl Optimizer for AdamWGroup {
    fn step(&mut self, params: &[Tensor], lr: f64, seed: u64) -> Result<()> {
        self.0.seed = seed;
        Ok(self.0.step(params, lr)?)
    }

    fn state(&self) -> Vec<(&'static str, usize, Tensor)> {
        let AdamW { exp_avg, exp_avg_sq, steps, scales, .. } = &self.0;
        let mut state = Vec::new();
        for at in 0..exp_avg.len() {
            for (name, tensors) in [
                ("exp_avg", exp_avg),
                ("exp_avg_sq", exp_avg_sq),
                ("step", steps),
                ("scale", scales),
            ] {
                state.extend(tensors.get(at).map(|tensor| (name, at, tensor.shallow_clone())));
            }
        }
        state
    }

    fn export(&self, at: usize) -> Vec<(&'static str, Tensor)> {
        let (m, v, step) = self.0.full(at);
        vec![("step", step), ("exp_avg", m), ("exp_avg_sq", v)]
    }

    fn import(&mut self, at: usize, tensor: &dyn Fn(&str) -> Result<Tensor>) -> Result<()> {
        let (m, v, step) = (tensor("exp_avg")?, tensor("exp_avg_sq")?, tensor("step")?);
        Ok(self.0.set_full(at, &m, &v, &step)?)
    }

    fn settings(&self) -> Vec<(&'static str, Value)> {
        let AdamW { betas: (beta1, beta2), eps, weight_decay, .. } = self.0;
        vec![
            ("weight_decay", weight_decay.into()),
            ("betas", Value::Tuple(vec![beta1.into(), beta2.into()])),
            ("eps", eps.into()),
            ("amsgrad", false.into()),
            ("maximize", false.into()),
            ("foreach", Value::None),
            ("capturable", false.into()),
            ("differentiable", false.into()),
            ("fused", Value::None),
            ("decoupled_weight_decay", true.into()),
        ]
    }
}
