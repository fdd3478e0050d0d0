//! open_clip's `model_cfg`, for the families of the paper.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A model: both towers and the space they share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Dimensions of the shared space.
    pub embed_dim: i64,
    /// Whether the towers use QuickGELU, `x sigmoid(1.702 x)`, as the paper's models do. Always
    /// written out: weights trained with one and run with the other give silently worse
    /// scores.
    #[serde(default)]
    pub quick_gelu: bool,
    /// The image tower.
    pub vision_cfg: VisionConfig,
    /// The text tower.
    pub text_cfg: TextConfig,
}

/// The depth of an image tower, and with it its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Depth {
    /// Blocks of a vision transformer.
    Blocks(i64),
    /// Bottlenecks in each of the four stages of a modified ResNet.
    Stages([i64; 4]),
}

/// The image tower.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionConfig {
    /// Side of the input, in pixels.
    #[serde(deserialize_with = "side")]
    pub image_size: i64,
    /// Blocks of a transformer, or stages of a ResNet.
    pub layers: Depth,
    /// Channels: of a transformer's blocks, or of a ResNet's first stage before its expansion.
    pub width: i64,
    /// Side of a patch, in pixels; none for a ResNet.
    #[serde(default)]
    pub patch_size: Option<i64>,
    /// Channels of an attention head.
    #[serde(default = "head_width")]
    pub head_width: i64,
    /// Hidden channels of a transformer's perceptron, as a multiple of its width.
    #[serde(default = "mlp_ratio", skip_serializing_if = "is_mlp_ratio")]
    pub mlp_ratio: f64,
}

/// The text transformer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Tokens in a text, start and end included.
    pub context_length: i64,
    /// Tokens in the vocabulary.
    pub vocab_size: i64,
    /// Channels.
    pub width: i64,
    /// Attention heads.
    pub heads: i64,
    /// Blocks.
    pub layers: i64,
    /// Hidden channels of the perceptron, as a multiple of the width.
    #[serde(default = "mlp_ratio", skip_serializing_if = "is_mlp_ratio")]
    pub mlp_ratio: f64,
}

fn head_width() -> i64 {
    64
}

fn mlp_ratio() -> f64 {
    4.0
}

/// Hidden channels of a perceptron. The ratio may come from a division, so that it is short by a
/// rounding.
pub(crate) fn hidden(width: i64, ratio: f64) -> i64 {
    (width as f64 * ratio + 1e-6) as i64
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_mlp_ratio(ratio: &f64) -> bool {
    *ratio == mlp_ratio()
}

/// open_clip writes a side as a number or as a pair.
fn side<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Side {
        One(i64),
        Two([i64; 2]),
    }
    match Side::deserialize(deserializer)? {
        Side::One(side) => Ok(side),
        Side::Two([height, width]) if height == width => Ok(height),
        Side::Two(_) => Err(serde::de::Error::custom("image_size must be square")),
    }
}

impl VisionConfig {
    /// A vision transformer.
    pub fn vit(image_size: i64, patch_size: i64, layers: i64, width: i64) -> Self {
        Self {
            image_size,
            layers: Depth::Blocks(layers),
            width,
            patch_size: Some(patch_size),
            head_width: head_width(),
            mlp_ratio: mlp_ratio(),
        }
    }

    /// A modified ResNet.
    pub fn resnet(image_size: i64, stages: [i64; 4], width: i64) -> Self {
        Self {
            image_size,
            layers: Depth::Stages(stages),
            width,
            patch_size: None,
            head_width: head_width(),
            mlp_ratio: mlp_ratio(),
        }
    }

    /// Blocks of a transformer; none of a ResNet.
    pub fn blocks(&self) -> Option<usize> {
        match self.layers {
            Depth::Blocks(layers) => usize::try_from(layers).ok(),
            Depth::Stages(_) => None,
        }
    }

    /// Whether the tower is a ResNet.
    pub fn is_resnet(&self) -> bool {
        matches!(self.layers, Depth::Stages(_))
    }

    /// Cells along a side of the last feature map (ResNet) or of the grid of patches.
    pub fn grid(&self) -> i64 {
        self.image_size / self.patch_size.unwrap_or(32)
    }

    /// Channels of the features before the projection.
    pub fn feature_width(&self) -> i64 {
        if self.is_resnet() { self.width * 32 } else { self.width }
    }
}

impl TextConfig {
    /// The paper's text tower of that width: 12 blocks, 77 tokens, heads of 64 channels.
    pub fn paper(width: i64) -> Self {
        Self {
            context_length: 77,
            vocab_size: 49_408,
            width,
            heads: width / 64,
            layers: 12,
            mlp_ratio: mlp_ratio(),
        }
    }
}

impl ModelConfig {
    /// Reads a `model_cfg` file, or an `open_clip_config.json` that holds one.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        Self::parse(&text).map_err(|e| Error::file(path, e))
    }

    /// Parses a `model_cfg`, or an `open_clip_config.json` that holds one.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |e: serde_json::Error| Error::Config(e.to_string());
        let value: serde_json::Value = serde_json::from_str(text).map_err(wrong)?;
        let mut value = value.get("model_cfg").cloned().unwrap_or(value);
        drop_defaults(&mut value);
        serde_json::from_value::<Self>(value).map_err(wrong)?.checked()
    }
}

/// Settings of open_clip that this code has one value of, with that value. They may be in a
/// `model_cfg`.
const FIXED: [(&str, &str); 21] = [
    ("ls_init_value", "null"),
    ("patch_dropout", "0.0"),
    ("attentional_pool", "false"),
    ("no_ln_pre", "false"),
    ("pos_embed_type", "\"learnable\""),
    ("final_ln_after_pool", "false"),
    ("output_tokens", "false"),
    ("act_kwargs", "null"),
    ("norm_kwargs", "null"),
    ("block_type", "null"),
    ("qk_norm", "false"),
    ("timm_model_name", "null"),
    ("hf_model_name", "null"),
    ("hf_tokenizer_name", "null"),
    ("tokenizer_kwargs", "null"),
    ("embed_cls", "false"),
    ("pad_id", "0"),
    ("no_causal_mask", "false"),
    ("proj_bias", "false"),
    ("proj_type", "\"linear\""),
    ("custom_text", "false"),
];

/// Takes out settings that have their only value here; what remains and is unknown is refused
/// by name.
fn drop_defaults(config: &mut serde_json::Value) {
    let Some(whole) = config.as_object_mut() else { return };
    let plain = |key: &str, value: &serde_json::Value| {
        value.is_null()
            || FIXED.iter().any(|(name, only)| {
                *name == key
                    && serde_json::from_str(only).is_ok_and(|only: serde_json::Value| {
                        only == *value || only.as_f64().is_some_and(|x| value.as_f64() == Some(x))
                    })
            })
    };
    // What the temperature begins with is in the weights, and so is whether there is a bias.
    let stored = ["init_logit_scale", "init_logit_bias", "nonscalar_logit_scale"];
    whole.retain(|key, value| !plain(key, value) && !stored.contains(&key.as_str()));
    for (tower, pool) in [("vision_cfg", "tok"), ("text_cfg", "argmax")] {
        if let Some(settings) = whole.get_mut(tower).and_then(|tower| tower.as_object_mut()) {
            settings.retain(|key, value| {
                !(plain(key, value) || key == "pool_type" && value.as_str() == Some(pool))
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        let config = ModelConfig::find("ViT-B-32").unwrap();
        let mut odd = config.clone();
        odd.vision_cfg.image_size = 16;
        assert!(odd.checked().unwrap_err().to_string().contains("hold a patch"));
        let mut odd = config;
        odd.vision_cfg.patch_size = None;
        assert!(odd.checked().unwrap_err().to_string().contains("patch_size"));
    }

    #[test]
    fn settings_at_their_only_value_pass_and_others_are_refused() {
        let with = |vision: &str, top: &str| {
            ModelConfig::parse(&format!(
                r#"{{"embed_dim": 8, {top} "vision_cfg": {{"image_size": [32, 32], "layers": 1, "width": 64,
                "patch_size": 16 {vision}}}, "text_cfg": {{"context_length": 8, "vocab_size": 30, "width": 8,
                "heads": 1, "layers": 1}}}}"#
            ))
        };
        let config =
            with(r#", "pool_type": "tok", "patch_dropout": 0, "timm_model_name": null"#, "");
        assert_eq!(config.unwrap().vision_cfg.image_size, 32);
        let message = with(r#", "timm_model_name": "convnext_base""#, "").unwrap_err().to_string();
        assert!(message.contains("timm_model_name"), "{message}");
        let message = with("", r#""custom_text": true,"#).unwrap_err().to_string();
        assert!(message.contains("custom_text"), "{message}");
    }
}
