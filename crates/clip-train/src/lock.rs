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
    fn what_an_objective_does_not_use_is_left_alone() {
        let model = ModelConfig::find("ViT-B-32").unwrap();
        let words = Recipe { objective: Objective::BagOfWords, ..Recipe::default() };
        assert!(is_trained("token_embedding.weight", &model, &words));
        assert!(!is_trained("transformer.resblocks.0.ln_1.bias", &model, &words));
        assert!(!is_trained("logit_scale", &model, &words));
    }
}
