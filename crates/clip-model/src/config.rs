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
    /// Whether the towers use QuickGELU, `x sigmoid(1.702 x)`, as the paper's models do. Always written out:
    /// weights trained with one and run with the other give silently worse scores.
    #[serde(default)]
    pub quick_gelu: bool,
    /// The image tower.
    pub vision_cfg: VisionConfig,
    /// The text tower.
    pub text_cfg: TextConfig,
}

/// The vision transformer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionConfig {
    /// Side of the input, in pixels.
    pub image_size: i64,
    /// Blocks.
    pub layers: i64,
    /// Channels.
    pub width: i64,
    /// Side of a patch, in pixels.
    pub patch_size: i64,
    /// Channels of an attention head.
    #[serde(default = "head_width")]
    pub head_width: i64,
}

fn head_width() -> i64 {
    64
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
}

/// The paper's vision transformers: name, image size, patch, layers, width, embed_dim, text width, heads.
const PAPER: [(&str, [i64; 7]); 4] = [
    ("ViT-B-32", [224, 32, 12, 768, 512, 512, 8]),
    ("ViT-B-16", [224, 16, 12, 768, 512, 512, 8]),
    ("ViT-L-14", [224, 14, 24, 1024, 768, 768, 12]),
    ("ViT-L-14-336", [336, 14, 24, 1024, 768, 768, 12]),
];

impl ModelConfig {
    /// A model of the paper by open_clip's name (`ViT-B-32`, `ViT-B-32-quickgelu`, …), or a JSON file.
    pub fn find(name: &str) -> Result<Self> {
        if name.ends_with(".json") {
            return Self::read(Path::new(name));
        }
        let (plain, quick_gelu) =
            name.strip_suffix("-quickgelu").map_or((name, false), |plain| (plain, true));
        let known = PAPER.iter().find(|(known, _)| *known == plain);
        let (_, [image_size, patch_size, layers, width, embed_dim, text_width, heads]) = known
            .ok_or_else(|| {
                let names: Vec<_> = PAPER.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                Error::Config(format!(
                    "no model {name:?}\nhint: {names}, each with -quickgelu, or a .json file"
                ))
            })?;
        let head_width = head_width();
        let vision_cfg = VisionConfig {
            image_size: *image_size,
            layers: *layers,
            width: *width,
            patch_size: *patch_size,
            head_width,
        };
        let text_cfg = TextConfig {
            context_length: 77,
            vocab_size: 49_408,
            width: *text_width,
            heads: *heads,
            layers: 12,
        };
        Self { embed_dim: *embed_dim, quick_gelu, vision_cfg, text_cfg }.checked()
    }

    /// Reads a `model_cfg` file, or an `open_clip_config.json` that holds one.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|e| Error::file(path, e))?;
        let value = value.get("model_cfg").cloned().unwrap_or(value);
        let config: Self = serde_json::from_value(value).map_err(|e| Error::file(path, e))?;
        config.checked().map_err(|e| Error::file(path, e))
    }

    fn checked(self) -> Result<Self> {
        let (v, t) = (&self.vision_cfg, &self.text_cfg);
        let must = |holds: bool, message: &str| {
            if holds { Ok(()) } else { Err(Error::Config(message.to_owned())) }
        };
        let sizes = [self.embed_dim, v.image_size, v.layers, v.width, v.patch_size, v.head_width];
        let texts = [t.context_length, t.vocab_size, t.width, t.heads, t.layers];
        must(sizes.iter().chain(&texts).all(|&size| size > 0), "sizes must be positive")?;
        must(v.image_size % v.patch_size == 0, "image_size must be a multiple of patch_size")?;
        must(v.width % v.head_width == 0, "vision width must be a multiple of head_width")?;
        must(t.width % t.heads == 0, "text width must be a multiple of its heads")?;
        must(t.context_length >= 3, "context_length must hold start, a token and end")?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_mistakes() {
        let config = ModelConfig::find("ViT-B-32-quickgelu").unwrap();
        assert!(config.quick_gelu && config.vision_cfg.patch_size == 32);
        let message = ModelConfig::find("ViT-Z").unwrap_err().to_string();
        assert!(message.contains("ViT-L-14-336"), "{message}");
        let mut odd = config;
        odd.vision_cfg.image_size = 225;
        assert!(odd.checked().is_err());
    }
}
