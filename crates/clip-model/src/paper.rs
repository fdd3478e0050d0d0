//! The paper's nine models (tables 19 and 20) under their names.

use std::path::Path;

use crate::config::{ModelConfig, TextConfig, VisionConfig};
use crate::{Error, Result};

/// open_clip's names, in the paper's order.
pub const NAMES: [&str; 9] = [
    "RN50",
    "RN101",
    "RN50x4",
    "RN50x16",
    "RN50x64",
    "ViT-B-32",
    "ViT-B-16",
    "ViT-L-14",
    "ViT-L-14-336",
];

impl ModelConfig {
    /// A model of the paper by open_clip's name (`RN50`, `ViT-B-32-quickgelu`, …) or OpenAI's
    /// (`ViT-B/32`), or a JSON file.
    pub fn find(name: &str) -> Result<Self> {
        if name.ends_with(".json") {
            return Self::read(Path::new(name));
        }
        find(name)?.checked()
    }
}

/// A model by open_clip's name or OpenAI's (`ViT-B/32`, `ViT-L/14@336px`). The paper's models use
/// QuickGELU: their names here end in `-quickgelu`, and the plain names have exact GELU, as in
/// open_clip.
fn find(name: &str) -> Result<ModelConfig> {
    let (plain, quick_gelu) =
        name.strip_suffix("-quickgelu").map_or((name, false), |plain| (plain, true));
    let plain = plain.replace(['/', '@'], "-").replace("336px", "336");
    let (embed_dim, vision_cfg, text_width) = match plain.as_str() {
        "RN50" => (1024, VisionConfig::resnet(224, [3, 4, 6, 3], 64), 512),
        "RN101" => (512, VisionConfig::resnet(224, [3, 4, 23, 3], 64), 512),
        "RN50x4" => (640, VisionConfig::resnet(288, [4, 6, 10, 6], 80), 640),
        "RN50x16" => (768, VisionConfig::resnet(384, [6, 8, 18, 8], 96), 768),
        "RN50x64" => (1024, VisionConfig::resnet(448, [3, 15, 36, 10], 128), 1024),
        "ViT-B-32" => (512, VisionConfig::vit(224, 32, 12, 768), 512),
        "ViT-B-16" => (512, VisionConfig::vit(224, 16, 12, 768), 512),
        "ViT-L-14" => (768, VisionConfig::vit(224, 14, 24, 1024), 768),
        "ViT-L-14-336" => (768, VisionConfig::vit(336, 14, 24, 1024), 768),
        _ => {
            let names = NAMES.join(", ");
            return Err(Error::Config(format!(
                "no model {name:?}\nhint: {names}, each with -quickgelu, or a .json file"
            )));
        }
    };
    let text_cfg = TextConfig::paper(text_width);
    Ok(ModelConfig { embed_dim, quick_gelu, vision_cfg, text_cfg })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_and_both_activations() {
        for name in NAMES {
            assert!(!find(name).unwrap().quick_gelu);
            assert!(find(&format!("{name}-quickgelu")).unwrap().quick_gelu);
        }
        assert_eq!(find("ViT-L/14@336px").unwrap(), find("ViT-L-14-336").unwrap());
        let message = find("ViT-Z").unwrap_err().to_string();
        assert!(message.contains("RN50x64") && message.contains("ViT-L-14-336"), "{message}");
    }
}
