//! How to train: the paper's numbers (tables 18 to 20), and a preset's.

use std::path::Path;

use clip_model::ModelConfig;
use clip_torch::Precision;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Optimiser, schedule and data of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Peak learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay of all weights that are not gains or biases.
    pub wd: f64,
    /// Steps of linear warm-up.
    pub warmup: u64,
    /// Passes over the corpus.
    pub epochs: u64,
    /// Pairs in a batch.
    pub batch_size: usize,
    /// `amp_bf16`, `fp32`, or `auto`: bfloat16 where the processor multiplies it.
    pub precision: String,
    /// `square-crop`, `rrc(0.9,1)`, `small`, `none`.
    pub augment: String,
    /// Largest norm of the gradient; nothing is clipped without.
    pub grad_clip_norm: Option<f64>,
}

impl Default for Recipe {
    /// The paper's for its vision transformers.
    fn default() -> Self {
        Self {
            lr: 5e-4,
            beta1: 0.9,
            beta2: 0.98,
            eps: 1e-6,
            wd: 0.2,
            warmup: 2000,
            epochs: 32,
            batch_size: 32_768,
            precision: "auto".into(),
            augment: "square-crop".into(),
            grad_clip_norm: None,
        }
    }
}

impl Recipe {
    /// The learning rate before step `step` (from 0) of `total`: linear warm-up, then a cosine to zero
    /// (open_clip's `cosine_lr`).
    pub fn lr_at(&self, step: u64, total: u64) -> f64 {
        if step < self.warmup {
            return self.lr * (step + 1) as f64 / self.warmup as f64;
        }
        let (done, all) = (step - self.warmup, total.saturating_sub(self.warmup).max(1));
        0.5 * (1.0 + (std::f64::consts::PI * done as f64 / all as f64).cos()) * self.lr
    }

    /// The arithmetic that `precision` names, under open_clip's names.
    pub fn arithmetic(&self, cuda: bool) -> Result<Precision> {
        match self.precision.as_str() {
            "auto" if cuda || has_bf16() => Ok(Precision::Bf16),
            "auto" | "fp32" => Ok(Precision::F32),
            "amp_bf16" => Ok(Precision::Bf16),
            other => {
                Err(Error::Recipe(format!("--precision {other}: one of auto, amp_bf16, fp32")))
            }
        }
    }
}

/// A model and its recipe under one name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The model.
    pub model_cfg: ModelConfig,
    /// How to train it.
    #[serde(default)]
    pub train: Recipe,
}

const EMOJI: &str = include_str!("../presets/emoji.json");

impl Preset {
    /// `emoji` (the demo's), `paper/MODEL` with the paper's recipe, or a JSON file.
    pub fn find(name: &str) -> Result<Self> {
        let parse = |text: &str| {
            serde_json::from_str::<Self>(text).map_err(|e| Error::file(Path::new(name), e))
        };
        if name == "emoji" {
            return parse(EMOJI);
        }
        if let Some(model) = name.strip_prefix("paper/") {
            // The paper's models use QuickGELU; two of them have a learning rate of their own.
            let model_cfg = ModelConfig::find(&format!("{model}-quickgelu"))?;
            let lr = match model {
                "ViT-L-14" => 4e-4,
                "ViT-L-14-336" => 2e-5,
                _ => 5e-4,
            };
            return Ok(Self { model_cfg, train: Recipe { lr, ..Recipe::default() } });
        }
        if Path::new(name).extension().is_some_and(|e| e == "json") {
            let text = std::fs::read_to_string(name).map_err(|e| Error::io(Path::new(name), e))?;
            return parse(&text);
        }
        Err(Error::Recipe(format!(
            "no preset {name:?}\nhint: emoji, paper/ViT-B-32 and the like, or a .json file"
        )))
    }
}

/// Whether weight decay acts on a parameter: not on gains, biases and the temperature (open_clip 3.3.0's rule).
pub fn is_decayed(name: &str, dimensions: usize) -> bool {
    let spared = ["bn", "ln", "bias", "logit_scale"];
    dimensions >= 2 && !spared.iter().any(|part| name.contains(part))
}

/// Whether the processor multiplies bfloat16.
pub fn has_bf16() -> bool {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    cpu.contains("avx512_bf16") || cpu.contains("amx_bf16")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_then_cosine() {
        let recipe = Recipe { lr: 1.0, warmup: 10, ..Recipe::default() };
        assert_eq!(recipe.lr_at(0, 110), 0.1);
        assert_eq!(recipe.lr_at(9, 110), 1.0);
        assert_eq!(recipe.lr_at(10, 110), 1.0);
        assert!((recipe.lr_at(60, 110) - 0.5).abs() < 1e-12);
        assert!(recipe.lr_at(109, 110) < 1e-3);
    }

    #[test]
    fn presets() {
        let paper = Preset::find("paper/ViT-L-14").unwrap();
        assert!(
            paper.model_cfg.quick_gelu
                && paper.train.lr == 4e-4
                && paper.train.batch_size == 32_768
        );
        Preset::find("emoji").unwrap();
        assert!(Preset::find("x").unwrap_err().to_string().contains("paper/ViT-B-32"));
    }

    #[test]
    fn decay_spares_gains_and_biases() {
        for (name, dimensions, wanted) in [
            ("visual.conv1.weight", 4, true),
            ("positional_embedding", 2, true),
            ("visual.ln_pre.weight", 1, false),
            ("transformer.resblocks.0.attn.in_proj_bias", 1, false),
            ("logit_scale", 0, false),
            ("visual.class_embedding", 1, false),
        ] {
            assert_eq!(is_decayed(name, dimensions), wanted, "{name}");
        }
    }
}
