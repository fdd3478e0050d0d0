//! The trained parameters with their optimiser.

use clip_model::Clip;
use clip_torch::tch::{Kind, Tensor, no_grad};
use clip_torch::{AdamW, Precision, Scaler, clear_gradients, norm};

use crate::draw::mix;
use crate::{Recipe, Result, TextWeights, is_trained};

/// Parameters that share a weight decay.
pub(crate) struct Group {
    pub names: Vec<String>,
    pub params: Vec<Tensor>,
    pub adam: AdamW,
}

/// What one update did.
pub(crate) struct Update {
    pub grad_norm: f64,
    /// float16 overflowed, and nothing was changed.
    pub skipped: bool,
}

/// All that an update changes.
pub(crate) struct Optimizer {
    /// open_clip's groups: what is spared of decay first.
    pub groups: [Group; 2],
    pub scaler: Option<Scaler>,
    /// Averages of all parameters over the steps, in the model's order.
    pub average: Option<Vec<Tensor>>,
}

impl Optimizer {
    /// Marks what is trained, narrows the text tower where the recipe says so, and makes the
    /// moments.
    pub fn new(model: &Clip, recipe: &Recipe, precision: Precision) -> Self {
        let small = recipe.text_weights == TextWeights::Fp16Sr;
        let mut lists: [(Vec<String>, Vec<Tensor>); 2] = Default::default();
        for (name, tensor) in model.named_parameters() {
            let trained = is_trained(name, model.config(), recipe);
            let _ = tensor.set_requires_grad(trained);
            // Gains and biases are too few to matter, and layer norms want them in 32 bits.
            if small && !name.starts_with("visual.") && tensor.dim() >= 2 {
                tensor.shallow_clone().set_data(&tensor.detach().to_kind(Kind::Half));
            }
            if trained {
                let group = usize::from(recipe.is_decayed(name, tensor.dim()));
                lists[group].0.push(name.clone());
                lists[group].1.push(tensor.shallow_clone());
            }
        }
        let betas = (recipe.beta1, recipe.beta2);
        let [spared, decayed] = lists;
        let group = |(names, params): (Vec<String>, Vec<Tensor>), wd| {
            let adam = AdamW::new(&params, betas, recipe.eps, wd, recipe.moments());
            Group { names, params, adam }
        };
        let copy = |(_, tensor): &(String, Tensor)| tensor.detach().to_kind(Kind::Float).copy();
        let scaled = precision == Precision::F16 || small;
        Self {
            groups: [group(spared, 0.0), group(decayed, recipe.wd)],
            scaler: scaled.then(Scaler::default),
            average: recipe.ema_decay.map(|_| model.named_parameters().iter().map(copy).collect()),
        }
    }

    /// All trained parameters with their names, spared ones first.
    pub fn params(&self) -> impl Iterator<Item = (&String, &Tensor)> {
        self.groups.iter().flat_map(|group| group.names.iter().zip(&group.params))
    }

    /// Forgets all gradients.
    pub fn clear(&self) {
        for group in &self.groups {
            clear_gradients(&group.params);
        }
    }

    /// What losses are multiplied with before the backward pass.
    pub fn loss_scale(&self) -> f64 {
        self.scaler.as_ref().map_or(1.0, |scaler| scaler.scale)
    }

    /// Bytes of the moments.
    pub fn moment_bytes(&self) -> usize {
        self.groups.iter().map(|group| group.adam.bytes()).sum()
    }

    /// Unscales, clips, updates. `unscaled` are parameters whose gradients were not multiplied;
    /// `seed` is the step's, for rounding: all processes have the same one, or their copies of
    /// the weights would part.
    pub fn update(
        &mut self,
        lr: f64,
        clip: Option<f64>,
        unscaled: &[&Tensor],
        seed: u64,
    ) -> Result<Update> {
        let grads: Vec<Tensor> =
            self.params().map(|(_, param)| param.grad()).filter(Tensor::defined).collect();
        if let Some(scaler) = &mut self.scaler {
            for grad in unscaled.iter().map(|param| param.grad()).filter(Tensor::defined) {
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
            group.adam.seed = mix(seed, number as u64, 0);
            group.adam.step(&group.params, lr)?;
        }
        Ok(Update { grad_norm, skipped: false })
    }

    /// Moves the averages towards the model.
    pub fn average(&mut self, model: &Clip, decay: f64) {
        let Some(average) = &mut self.average else { return };
        no_grad(|| {
            for (mean, (_, now)) in average.iter_mut().zip(model.named_parameters()) {
                let _ = mean.lerp_(&now.to_kind(Kind::Float), 1.0 - decay);
            }
        });
    }
}
