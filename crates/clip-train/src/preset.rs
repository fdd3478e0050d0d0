//! Models with their recipes under one name: the paper's, open_clip's, the demo's.

use std::path::Path;

use clip_loader::Augment;
use clip_model::ModelConfig;
use serde::{Deserialize, Serialize};

use crate::{AdamStats, Error, Recipe, Result, TextWeights, TrainPrecision};

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

/// Learning rates of the paper's tables 19 and 20.
const LEARNING_RATES: [(&str, f64); 9] = [
    ("RN50", 5e-4),
    ("RN101", 5e-4),
    ("RN50x4", 5e-4),
    ("RN50x16", 4e-4),
    ("RN50x64", 3.6e-4),
    ("ViT-B-32", 5e-4),
    ("ViT-B-16", 5e-4),
    ("ViT-L-14", 4e-4),
    (FINE, 2e-5),
];

/// The paper's only model that begins from another's weights: "we also pre-train at a higher 336
/// pixel resolution for one additional epoch" (section 2.5).
const FINE: &str = "ViT-L-14-336";

impl Preset {
    /// Whether the preset starts from the weights of another model: `paper/ViT-L-14-336` from
    /// ViT-L-14's.
    pub fn wants_weights(name: &str) -> bool {
        let model = name.strip_prefix("paper/").unwrap_or_default();
        model.strip_suffix("-quickgelu").unwrap_or(model) == FINE
    }

    /// A model with open_clip's defaults.
    pub fn open_clip(model_cfg: ModelConfig) -> Self {
        let train = Recipe {
            lr: 5e-4,
            warmup: 10_000,
            batch_size: 64,
            augment: Augment::ResizedCrop(0.9, 1.0),
            ..by_family(model_cfg.vision_cfg.is_resnet())
        };
        Self { model_cfg, train }
    }

    /// `emoji` (the demo's), `paper/MODEL`, `openclip/MODEL`, or a JSON file.
    pub fn find(name: &str) -> Result<Self> {
        let parse = |text: &str| {
            let preset: Self =
                serde_json::from_str(text).map_err(|e| {
                    let hint = "hint: a preset is {\"model_cfg\": …, \"train\": {…}}; a model_cfg alone is for --model";
                    Error::file(Path::new(name), format!("{e}\n{hint}"))
                })?;
            let model_cfg =
                preset.model_cfg.checked().map_err(|e| Error::file(Path::new(name), e))?;
            Ok(Self { model_cfg, ..preset })
        };
        if name == "emoji" {
            return parse(EMOJI);
        }
        if let Some(model) = name.strip_prefix("paper/") {
            // The paper's models use QuickGELU.
            let plain = model.strip_suffix("-quickgelu").unwrap_or(model);
            let model_cfg = ModelConfig::find(&format!("{plain}-quickgelu"))?;
            return Ok(Self { model_cfg, train: paper(plain) });
        }
        if let Some(model) = name.strip_prefix("openclip/") {
            return Ok(Self::open_clip(ModelConfig::find(model)?));
        }
        if Path::new(name).extension().is_some_and(|e| e == "json") {
            let text = std::fs::read_to_string(name).map_err(|e| Error::io(Path::new(name), e))?;
            return parse(&text);
        }
        Err(Error::Recipe(format!(
            "no preset {name:?}\n\
             hint: emoji, paper/ViT-B-32 and the like, openclip/RN50 and the like, or a .json file"
        )))
    }
}

/// The paper's Adam for a family (tables 18 to 20), which open_clip's defaults follow.
fn by_family(resnet: bool) -> Recipe {
    let (beta2, eps) = if resnet { (0.999, 1e-8) } else { (0.98, 1e-6) };
    Recipe { beta2, eps, ..Recipe::default() }
}

/// The paper's recipe for a model; its tables say nothing of others, which get the most common
/// rate.
pub fn paper(model: &str) -> Recipe {
    let known = LEARNING_RATES.iter().find(|(name, _)| *name == model);
    Recipe {
        lr: known.map_or(5e-4, |(_, lr)| *lr),
        epochs: if model == FINE { 1 } else { 32 },
        precision: TrainPrecision::Amp,
        adam_stats: AdamStats::Fp16,
        text_weights: TextWeights::Fp16Sr,
        ..by_family(!model.to_lowercase().contains("vit"))
    }
}

/// Where a recipe departs from another: setting, mine, the other's.
pub fn difference(mine: &Recipe, other: &Recipe) -> Vec<(String, String, String)> {
    let pairs = mine.settings().into_iter().zip(other.settings());
    pairs.filter(|(a, b)| a.1 != b.1).map(|((key, a), (_, b))| (key, a, b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_alone_is_no_preset() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tiny.json");
        std::fs::write(&path, r#"{"embed_dim": 64, "vision_cfg": {}, "text_cfg": {}}"#).unwrap();
        let error = Preset::find(path.to_str().unwrap()).unwrap_err().to_string();
        assert!(error.contains("tiny.json: unknown field `embed_dim`"), "{error}");
        assert!(error.ends_with("a model_cfg alone is for --model"), "{error}");
    }

    #[test]
    fn all_nine_models_have_both_recipes() {
        for (model, lr) in LEARNING_RATES {
            let preset = Preset::find(&format!("paper/{model}")).unwrap();
            let train = &preset.train;
            assert!(preset.model_cfg.quick_gelu && train.lr == lr, "{model}");
            let fine = Preset::wants_weights(&format!("paper/{model}"));
            let epochs = if fine { 1 } else { 32 };
            assert_eq!(fine, model == "ViT-L-14-336");
            assert_eq!((train.batch_size, train.epochs, train.warmup), (32_768, epochs, 2000));
            assert_eq!((train.wd, train.augment), (0.2, Augment::SquareCrop));
            let vit = model.starts_with("ViT");
            let adam = if vit { (0.98, 1e-6) } else { (0.999, 1e-8) };
            assert_eq!((train.beta2, train.eps), adam);
            let theirs = Preset::find(&format!("openclip/{model}")).unwrap();
            assert!(!theirs.model_cfg.quick_gelu);
            assert_eq!((theirs.train.lr, theirs.train.warmup), (5e-4, 10_000));
            assert_eq!((theirs.train.beta2, theirs.train.eps), adam);
        }
    }

    #[test]
    fn differences_name_both_sides() {
        let paper = paper("ViT-L-14");
        assert_eq!(difference(&paper, &paper), []);
        let mine = Recipe { batch_size: 256, grad_clip_norm: Some(1.0), ..paper.clone() };
        let found = difference(&mine, &paper);
        let wanted = [("batch_size", "256", "32768"), ("grad_clip_norm", "1.0", "None")];
        let wanted = wanted.map(|(k, a, b)| (k.to_owned(), a.to_owned(), b.to_owned()));
        assert_eq!(found, wanted);
    }

    #[test]
    fn names_and_files() {
        Preset::find("emoji").unwrap();
        assert!(Preset::find("x").unwrap_err().to_string().contains("paper/ViT-B-32"));
        assert!(Preset::find("paper/ViT-Z").is_err());
    }
}
