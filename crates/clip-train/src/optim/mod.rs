//! The trained parameters with their optimizer.

mod adamw;
mod groups;
mod lion;
mod muon;
mod optimizer;

use clip_model::Clip;
use clip_random::mix;
use clip_torch::tch::{Kind, Tensor, no_grad};
use clip_torch::{Precision, Scaler, clear_gradients, norm};

use crate::{Recipe, Result, TextWeights, is_trained};

pub(crate) use groups::has_matrices;
use optimizer::ParamGroup;

/// What one update did.
pub(crate) struct Update {
    pub grad_norm: f64,
    /// float16 overflowed, and nothing was changed.
    pub skipped: bool,
}

/// All that an update changes.
pub(crate) struct Trained {
    /// open_clip's groups: what is spared of decay first.
    pub groups: Vec<ParamGroup>,
    pub scaler: Option<Scaler>,
    /// Averages of all parameters over the steps, in the model's order.
    pub average: Option<Vec<Tensor>>,
}

impl Trained {
    /// Marks what is trained, narrows the text tower where the recipe says so, and makes the
    /// optimizers' state.
    pub fn new(model: &Clip, recipe: &Recipe, precision: Precision) -> Self {
        let small = recipe.text_weights == TextWeights::Fp16Sr;
        let trained = |name: &str| is_trained(name, model.config(), recipe);
        for (name, tensor) in model.named_parameters() {
            let _ = tensor.set_requires_grad(trained(name));
            // Gains and biases are too few to matter, and layer norms want them in 32 bits.
            if small && !name.starts_with("visual.") && tensor.dim() >= 2 {
                tensor.shallow_clone().set_data(&tensor.detach().to_kind(Kind::Half));
            }
        }
        let copy = |(_, tensor): &(String, Tensor)| tensor.detach().to_kind(Kind::Float).copy();
        let scaled = precision == Precision::F16 || small;
        Self {
            groups: groups::groups(model, recipe, trained),
            scaler: scaled.then(Scaler::default),
            average: recipe.ema_decay.map(|_| model.named_parameters().iter().map(copy).collect()),
        }
    }

    /// All trained parameters with their names, spared ones first.
    pub fn params(&self) -> impl Iterator<Item = (&String, &Tensor)> {
        self.groups.iter().flat_map(|group| group.names.iter().zip(&group.params))
    }

    /// Drops all gradients.
    pub fn clear_gradients(&self) {
        for group in &self.groups {
            clear_gradients(&group.params);
        }
    }

    /// What losses are multiplied with before the backward pass.
    pub fn loss_scale(&self) -> f64 {
        self.scaler.as_ref().map_or(1.0, |scaler| scaler.scale)
    }

    /// The optimizers' state by name, as checkpoints hold it.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let named = |group: &ParamGroup| {
            let state = group.optimizer.state().into_iter();
            let all =
                state.map(|(kind, at, tensor)| (format!("{kind}.{}", group.names[at]), tensor));
            all.collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(named).collect()
    }

    /// Bytes of that state.
    pub fn state_bytes(&self) -> usize {
        let bytes = |(_, tensor): &(String, Tensor)| tensor_bytes(tensor);
        self.state().iter().map(bytes).sum()
    }

    /// Unscales, clips, updates. `unscaled` are parameters whose gradients were not multiplied;
    /// `seed` is the step's.
    pub fn update(
        &mut self,
        lr: f64,
        clip: Option<f64>,
        unscaled: &[Tensor],
        seed: u64,
    ) -> Result<Update> {
        let grads: Vec<Tensor> =
            self.params().map(|(_, param)| param.grad()).filter(Tensor::defined).collect();
        if let Some(scaler) = &mut self.scaler {
            for grad in unscaled.iter().map(Tensor::grad).filter(Tensor::defined) {
                let _ = no_grad(|| grad.shallow_clone().g_mul_scalar_(scaler.scale));
            }
            let finite = scaler.unscale(&grads)?;
            scaler.update(finite);
            if !finite {
                return Ok(Update { grad_norm: f64::NAN, skipped: true });
            }
        }
        let grad_norm = norm(&grads)?;
        if let Some(bound) = clip.filter(|&bound| grad_norm > bound) {
            for mut grad in grads {
                let _ = no_grad(|| grad.g_mul_scalar_(bound / (grad_norm + 1e-6)));
            }
        }
        for (number, group) in self.groups.iter_mut().enumerate() {
            let lr = lr * group.lr_scale;
            group.optimizer.step(&group.params, lr, mix(seed, number as u64, 0))?;
        }
        Ok(Update { grad_norm, skipped: false })
    }

    /// Moves the averages towards the model.
    pub fn move_average(&mut self, model: &Clip, decay: f64) {
        let Some(average) = &mut self.average else { return };
        no_grad(|| {
            for (mean, (_, now)) in average.iter_mut().zip(model.named_parameters()) {
                let _ = mean.lerp_(&now.to_kind(Kind::Float), 1.0 - decay);
            }
        });
    }
}

/// Bytes of a tensor's values.
pub(crate) fn tensor_bytes(tensor: &Tensor) -> usize {
    tensor.numel() * tensor.kind().elt_size_in_bytes()
}

/// A parameter's values as they are stored: in 32 bits.
pub(crate) fn stored(tensor: &Tensor) -> Tensor {
    if tensor.is_floating_point() { tensor.detach().to_kind(Kind::Float) } else { tensor.detach() }
}
