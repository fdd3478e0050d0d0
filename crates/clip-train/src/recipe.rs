//! How to train: everything that decides the numbers of a run.

use clip_loader::Augment;
use clip_torch::Precision;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, TrainPrecision};

/// What is learned from pairs (CLIP paper, section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Which text belongs to which image: CLIP.
    #[default]
    Contrastive,
    /// The same as a yes-or-no question for each pair (Zhai et al. 2023).
    Sigmoid,
    /// The caption, word by word, by a text transformer that sees the image.
    Caption,
    /// Which words the caption has.
    BagOfWords,
}

impl Objective {
    /// Whether images and texts are embedded and compared, so that classes can be scored by their
    /// prompts' embeddings.
    pub fn compares_pairs(self) -> bool {
        match self {
            Self::Contrastive | Self::Sigmoid => true,
            Self::Caption | Self::BagOfWords => false,
        }
    }
}

/// Which parameters weight decay spares beside gains, biases and the temperature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecayRule {
    /// None: the paper's "all weights that are not gains or biases", and open_clip up to 3.3.
    #[default]
    Paper,
    /// Both towers' positional embeddings, as open_clip after 3.3 does.
    SparePositions,
}

/// In how many bits the optimizer's moments are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdamStats {
    /// 32.
    #[default]
    Fp32,
    /// 16, with a scale a tensor.
    Fp16,
}

/// In how many bits the text tower's weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextWeights {
    /// 32.
    #[default]
    Fp32,
    /// 16, stochastically rounded after each update.
    Fp16Sr,
}

/// The optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Opt {
    /// The paper's.
    #[default]
    AdamW,
    /// Lion (Chen et al. 2023).
    Lion,
    /// Muon (Jordan et al. 2024) for the matrices of transformers' blocks, and AdamW for the rest.
    Muon,
}

/// How the learning rate continues after warm-up; the names are open_clip's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Half a cosine to zero.
    #[default]
    Cosine,
    /// Constant.
    Const,
    /// Constant, then down by a power over the last epochs.
    ConstCooldown,
}

/// Optimizer, schedule and data of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// What is learned.
    pub objective: Objective,
    /// What follows the gradients.
    pub opt: Opt,
    /// Peak learning rate.
    pub lr: f64,
    /// What it is multiplied with for each layer from the end of a tower to its start.
    pub layer_decay: Option<f64>,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decay of Muon's momentum.
    pub momentum: f64,
    /// Decoupled weight decay of all weights that are not gains or biases.
    pub wd: f64,
    /// What else it spares.
    pub decay_rule: DecayRule,
    /// Steps of linear warm-up.
    pub warmup: u64,
    /// What comes after.
    pub lr_scheduler: Schedule,
    /// Epochs of cool-down at the end.
    pub epochs_cooldown: u64,
    /// The learning rate at its end.
    pub lr_cooldown_end: f64,
    /// The power by which it decays.
    pub lr_cooldown_power: f64,
    /// Epochs: passes over the corpus, or budgets of `train_num_samples`.
    pub epochs: u64,
    /// Samples of an epoch; without it all pairs of the corpus.
    pub train_num_samples: Option<u64>,
    /// Pairs in a batch, over all processes and chunks.
    pub batch_size: usize,
    /// What is computed in: `amp` (float16), `amp_bf16`, `fp32` or `auto`.
    pub precision: TrainPrecision,
    /// What happens to images: `square-crop`, `rrc(0.9,1)`, `small` or `none`.
    pub augment: Augment,
    /// Largest norm of the gradient; nothing is clipped without.
    pub grad_clip_norm: Option<f64>,
    /// Bits of the optimizer's moments.
    pub adam_stats: AdamStats,
    /// Bits of the text tower's weights.
    pub text_weights: TextWeights,
    /// Share of patches that a vision transformer does not see in training.
    pub patch_dropout: f64,
    /// Decay of an average of the weights over the steps, kept beside them.
    pub ema_decay: Option<f64>,
    /// Leave the image tower as it is, but for its last groups of layers, as many as this.
    pub lock_image: Option<usize>,
    /// Leave the text tower as it is, but for its last groups of layers, as many as this.
    pub lock_text: Option<usize>,
}

impl Default for Recipe {
    /// The paper's for its vision transformers, in 32 bits where it says nothing else.
    fn default() -> Self {
        Self {
            objective: Objective::Contrastive,
            opt: Opt::AdamW,
            lr: 5e-4,
            layer_decay: None,
            beta1: 0.9,
            beta2: 0.98,
            eps: 1e-6,
            momentum: 0.95,
            wd: 0.2,
            decay_rule: DecayRule::Paper,
            warmup: 2000,
            lr_scheduler: Schedule::Cosine,
            epochs_cooldown: 0,
            lr_cooldown_end: 0.0,
            lr_cooldown_power: 1.0,
            epochs: 32,
            train_num_samples: None,
            batch_size: 32_768,
            precision: TrainPrecision::Auto,
            augment: Augment::SquareCrop,
            grad_clip_norm: None,
            adam_stats: AdamStats::Fp32,
            text_weights: TextWeights::Fp32,
            patch_dropout: 0.0,
            ema_decay: None,
            lock_image: None,
            lock_text: None,
        }
    }
}

impl Recipe {
    /// What is computed in, on a GPU or on this processor.
    ///
    /// # Errors
    /// When text weights in 16 bits would be multiplied in 32.
    pub fn resolve_precision(&self, cuda: bool) -> Result<Precision> {
        let precision = self.precision.resolve(cuda);
        if self.text_weights == TextWeights::Fp16Sr && precision == Precision::F32 {
            let hint = "--precision amp or amp_bf16, or --text-weights fp32";
            return Err(Error::Recipe(format!(
                "text weights in 16 bits need products in 16 bits\nhint: {hint}"
            )));
        }
        Ok(precision)
    }

    /// Whether weight decay acts on a parameter (open_clip 3.3.0's rule, and its successor's).
    pub fn is_decayed(&self, name: &str, dimensions: usize) -> bool {
        let spared = ["bn", "ln", "bias", "logit_scale"];
        let positions = ["positional_embedding", "visual.positional_embedding"];
        let spares_positions = self.decay_rule == DecayRule::SparePositions;
        dimensions >= 2
            && !spared.iter().any(|part| name.contains(part))
            && !(spares_positions && positions.contains(&name))
    }

    /// A setting by its name in the recipe, as text; `None` says there is no such value.
    pub fn settings(&self) -> Vec<(String, String)> {
        let Ok(serde_json::Value::Object(all)) = serde_json::to_value(self) else {
            return Vec::new();
        };
        let plain = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            serde_json::Value::Null => "None".into(),
            other => other.to_string(),
        };
        all.into_iter().map(|(key, value)| (key, plain(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decay_spares_gains_and_biases() {
        let paper = Recipe::default();
        let newer = Recipe { decay_rule: DecayRule::SparePositions, ..Recipe::default() };
        for (name, dimensions, by_paper, by_newer) in [
            ("visual.conv1.weight", 4, true, true),
            ("positional_embedding", 2, true, false),
            ("visual.attnpool.positional_embedding", 2, true, true),
            ("visual.ln_pre.weight", 1, false, false),
            ("transformer.resblocks.0.attn.in_proj_bias", 1, false, false),
            ("logit_scale", 0, false, false),
            ("visual.class_embedding", 1, false, false),
        ] {
            assert_eq!(paper.is_decayed(name, dimensions), by_paper, "{name}");
            assert_eq!(newer.is_decayed(name, dimensions), by_newer, "{name}");
        }
    }

    #[test]
    fn small_text_weights_need_small_products() {
        let recipe = Recipe {
            text_weights: TextWeights::Fp16Sr,
            precision: TrainPrecision::Fp32,
            ..Recipe::default()
        };
        assert!(
            recipe.resolve_precision(false).unwrap_err().to_string().contains("--text-weights")
        );
    }
}
