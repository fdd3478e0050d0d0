//! Towers that are left as they are: locked-image tuning (Zhai et al. 2022) and its mirror.

use clip_model::ModelConfig;

use crate::{Objective, Recipe};

/// Whether training changes a parameter.
pub fn is_trained(name: &str, model: &ModelConfig, recipe: &Recipe) -> bool {
    let image = name.strip_prefix("visual.");
    let free = match image {
        Some(part) => unlocked(recipe.lock_image, image_group(part, model)),
        None if name.starts_with("logit_") => true,
        None => unlocked(recipe.lock_text, text_group(name, model)),
    };
    free && is_used(name, recipe.objective)
}

/// Whether a parameter has a part in the objective.
fn is_used(name: &str, objective: Objective) -> bool {
    match objective {
        Objective::Contrastive => name != "logit_bias",
        Objective::Sigmoid => true,
        Objective::Caption => !name.starts_with("logit_"),
        // Words are predicted from the image alone.
        Objective::BagOfWords => {
            name.starts_with("visual.")
                || ["token_embedding.weight", "text_projection"].contains(&name)
        }
    }
}

/// `group` is counted from the end, from 0.
fn unlocked(lock: Option<usize>, group: usize) -> bool {
    lock.is_none_or(|free| group < free)
}

fn block(name: &str) -> Option<usize> {
    name.split_once("resblocks.")?.1.split('.').next()?.parse().ok()
}

/// open_clip's groups of a vision transformer: stem, blocks, the last block with the norm after it,
/// projection. A ResNet is one group: all or nothing.
fn image_group(part: &str, model: &ModelConfig) -> usize {
    let Some(layers) = model.vision_cfg.blocks() else { return 0 };
    match block(part) {
        Some(at) => layers - at,
        None if part == "proj" => 0,
        None if part.starts_with("ln_post") => 1,
        None => layers + 1,
    }
}

/// The same for the text tower.
fn text_group(name: &str, model: &ModelConfig) -> usize {
    let layers = model.text_cfg.layers as usize;
    match block(name) {
        Some(at) => layers - at,
        None if name == "text_projection" => 0,
        None if name.starts_with("ln_final") => 1,
        None => layers + 1,
    }
}

/// How many layers are between a parameter and the end of its tower, for layer-wise learning rates,
/// as BEiT and EVA-CLIP count them: the projection and the norm before it are the end, embeddings
/// and stem are one below the first block. A ResNet's layers are its four stages.
pub(crate) fn depth(name: &str, model: &ModelConfig) -> usize {
    let Some(part) = name.strip_prefix("visual.") else {
        let ends = name.starts_with("logit_") || name.starts_with("ln_final");
        return if ends { 0 } else { text_group(name, model) };
    };
    if !model.vision_cfg.is_resnet() {
        return if part.starts_with("ln_post") { 0 } else { image_group(part, model) };
    }
    let stage = part.strip_prefix("layer").and_then(|rest| rest.split('.').next()?.parse().ok());
    match stage {
        Some(stage) => 5usize.saturating_sub(stage),
        None if part.starts_with("attnpool") => 0,
        None => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_groups_stay_free() {
        let model = ModelConfig::find("ViT-B-32").unwrap();
        let recipe = Recipe { lock_image: Some(2), lock_text: Some(0), ..Recipe::default() };
        for (name, free) in [
            ("visual.proj", true),
            ("visual.ln_post.weight", true),
            ("visual.transformer.resblocks.11.ln_1.bias", true),
            ("visual.transformer.resblocks.10.ln_1.bias", false),
            ("visual.conv1.weight", false),
            ("text_projection", false),
            ("transformer.resblocks.11.ln_1.bias", false),
            ("logit_scale", true),
        ] {
            assert_eq!(is_trained(name, &model, &recipe), free, "{name}");
        }
        let all = Recipe::default();
        assert!(is_trained("visual.conv1.weight", &model, &all));
    }

    #[test]
    fn depths_are_counted_from_the_end_of_each_tower() {
        let vit = ModelConfig::find("ViT-B-32").unwrap();
        let resnet = ModelConfig::find("RN50").unwrap();
        for (model, name, wanted) in [
            (&vit, "visual.proj", 0),
            (&vit, "visual.ln_post.bias", 0),
            (&vit, "visual.transformer.resblocks.11.mlp.c_fc.weight", 1),
            (&vit, "visual.transformer.resblocks.0.ln_1.weight", 12),
            (&vit, "visual.conv1.weight", 13),
            (&vit, "visual.class_embedding", 13),
            (&vit, "text_projection", 0),
            (&vit, "ln_final.weight", 0),
            (&vit, "transformer.resblocks.0.ln_1.weight", 12),
            (&vit, "token_embedding.weight", 13),
            (&vit, "logit_scale", 0),
            (&resnet, "visual.attnpool.q_proj.weight", 0),
            (&resnet, "visual.layer4.2.conv1.weight", 1),
            (&resnet, "visual.layer1.0.bn1.weight", 4),
            (&resnet, "visual.bn1.weight", 5),
        ] {
            assert_eq!(depth(name, model), wanted, "{name}");
        }
    }

    #[test]
    fn what_an_objective_does_not_use_is_left_alone() {
        let model = ModelConfig::find("ViT-B-32").unwrap();
        let words = Recipe { objective: Objective::BagOfWords, ..Recipe::default() };
        assert!(is_trained("token_embedding.weight", &model, &words));
        assert!(!is_trained("transformer.resblocks.0.ln_1.bias", &model, &words));
        assert!(!is_trained("logit_scale", &model, &words));
    }
}
