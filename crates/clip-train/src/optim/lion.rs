//! Lion (Chen et al. 2023): steps of one length in each direction, one moment.

use clip_model::pt::Value;
use clip_torch::tch::{Kind, Tensor, no_grad};

use super::optimizer::{Optimizer, keep_value, zeros};
use crate::{Recipe, Result};

/// timm's `Lion`, and the paper's algorithm 2.
pub(super) struct LionGroup {
    moments: Vec<Tensor>,
    betas: (f64, f64),
    weight_decay: f64,
}

impl LionGroup {
    pub fn new(recipe: &Recipe, params: &[Tensor], weight_decay: f64) -> Self {
        let moments = zeros(params);
        Self { moments, betas: (recipe.beta1, recipe.beta2), weight_decay }
    }
}

impl Optimizer for LionGroup {
    fn step(&mut self, params: &[Tensor], lr: f64, seed: u64) -> Result<()> {
        let (beta1, beta2) = self.betas;
        for (at, (param, moment)) in params.iter().zip(&self.moments).enumerate() {
            let grad = param.grad();
            if !grad.defined() {
                continue;
            }
            no_grad(|| -> Result<()> {
                let grad = grad.f_to_kind(Kind::Float)?;
                let value =
                    param.f_to_kind(Kind::Float)?.f_mul_scalar(1.0 - lr * self.weight_decay)?;
                let direction = moment.f_lerp(&grad, 1.0 - beta1)?.f_sign()?;
                keep_value(param, &value.f_sub(&direction.f_mul_scalar(lr)?)?, seed, at)?;
                let _ = moment.shallow_clone().f_lerp_(&grad, 1.0 - beta2)?;
                Ok(())
            })?;
        }
        Ok(())
    }

    fn moments(&self) -> (&'static str, &[Tensor]) {
        ("exp_avg", &self.moments)
    }

    fn settings(&self) -> Vec<(&'static str, Value)> {
        let (beta1, beta2) = self.betas;
        vec![
            ("betas", Value::Tuple(vec![beta1.into(), beta2.into()])),
            ("weight_decay", self.weight_decay.into()),
            ("caution", false.into()),
            ("corrected_weight_decay", false.into()),
            ("foreach", Value::None),
            ("maximize", false.into()),
        ]
    }
}
