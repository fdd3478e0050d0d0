//! A configuration from the shapes of weights alone (after OpenAI's `build_model`).

use std::collections::HashMap;

use clip_torch::tch::Tensor;

use crate::{ModelConfig, TextConfig, VisionConfig};

/// The configuration that weights with open_clip's names have; none where they are no such model's.
///
/// The activation leaves no trace in shapes, so it must be known. Heads are taken to have 64
/// channels, as all of the paper's have.
pub fn infer_config(weights: &[(String, Tensor)], quick_gelu: bool) -> Option<ModelConfig> {
    let shapes: HashMap<&str, Vec<i64>> =
        weights.iter().map(|(name, tensor)| (name.as_str(), tensor.size())).collect();
    let side = |name: &str, at: usize| shapes.get(name)?.get(at).copied();
    let count = |prefix: &str| {
        let numbers = shapes.keys().filter_map(|name| name.strip_prefix(prefix)?.split('.').next());
        let highest = numbers.filter_map(|number| number.parse::<i64>().ok()).max();
        highest.map_or(0, |highest| highest.saturating_add(1))
    };
    let embed_dim = side("text_projection", 1)?;
    let grid = |name: &str| Some((side(name, 0)? as f64 - 1.0).max(0.0).sqrt().round() as i64);
    let ratio = |name: &str| Some(side(name, 0)? as f64 / side(name, 1)? as f64);
    let vision_cfg = if shapes.contains_key("visual.proj") {
        let (width, patch) = (side("visual.conv1.weight", 0)?, side("visual.conv1.weight", 2)?);
        let layers = count("visual.transformer.resblocks.");
        let image_size = grid("visual.positional_embedding")? * patch;
        let mlp_ratio = ratio("visual.transformer.resblocks.0.mlp.c_fc.weight")?;
        let head_width = 64.min(width);
        VisionConfig {
            head_width,
            mlp_ratio,
            ..VisionConfig::vit(image_size, patch, layers, width)
        }
    } else {
        let width = side("visual.layer1.0.conv1.weight", 0)?;
        let stages = [1, 2, 3, 4].map(|stage| count(&format!("visual.layer{stage}.")));
        let image_size = grid("visual.attnpool.positional_embedding")? * 32;
        VisionConfig::resnet(image_size, stages, width)
    };
    let width = side("ln_final.weight", 0)?;
    let text_cfg = TextConfig {
        context_length: side("positional_embedding", 0)?,
        vocab_size: side("token_embedding.weight", 0)?,
        width,
        heads: (width / 64).max(1),
        layers: count("transformer.resblocks."),
        mlp_ratio: ratio("transformer.resblocks.0.mlp.c_fc.weight")?,
    };
    ModelConfig { embed_dim, quick_gelu, vision_cfg, text_cfg }.checked().ok()
}
