//! Recipes that a model cannot be trained by.

use clip_model::ModelConfig;

use crate::optim::has_matrices;
use crate::{AdamStats, Error, Objective, Opt, Recipe, Result, Schedule};

impl Recipe {
    /// Refuses what cannot be meant: settings that have no effect on that model, and a loss of
    /// nothing.
    pub fn check(&self, model: &ModelConfig) -> Result<()> {
        let refuse = |what: String| Err(Error::Recipe(what));
        if self.objective == Objective::Contrastive && self.batch_size < 2 {
            return refuse(format!(
                "a batch of {} pair over all processes: a pair alone has a contrastive loss of 0, whatever the model\n\
                 hint: raise --batch-size, --accum-freq or --global-batch-size",
                self.batch_size
            ));
        }
        if self.opt == Opt::Lion && self.adam_stats != AdamStats::Fp32 {
            return refuse("--adam-stats: Lion has none of Adam's moments".into());
        }
        if self.opt == Opt::Muon && !has_matrices(model, self) {
            return refuse(
                "--opt muon: the model has no transformer's matrix that is trained".into(),
            );
        }
        if self.patch_dropout > 0.0 && model.vision_cfg.is_resnet() {
            return refuse("--force-patch-dropout: a ResNet has no patches".into());
        }
        if self.lock_image.is_some_and(|free| free > 0) && model.vision_cfg.is_resnet() {
            return refuse("--lock-image-unlocked-groups: a ResNet is locked as a whole".into());
        }
        let (cooled, epochs) = (self.epochs_cooldown, self.epochs);
        if self.lr_scheduler == Schedule::ConstCooldown && !(1..=epochs).contains(&cooled) {
            return refuse(format!(
                "--epochs-cooldown {cooled}: const-cooldown wants 1 to {epochs}, the epochs of the run"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_have_no_effect_is_refused() {
        let vit = ModelConfig::find("ViT-B-32").unwrap();
        let resnet = ModelConfig::find("RN50").unwrap();
        Recipe::default().check(&vit).unwrap();
        Recipe { batch_size: 1, objective: Objective::Sigmoid, ..Recipe::default() }
            .check(&vit)
            .unwrap();
        let dropout = Recipe { patch_dropout: 0.5, ..Recipe::default() };
        dropout.check(&vit).unwrap();
        let cooled = Schedule::ConstCooldown;
        for (recipe, word) in [
            (Recipe { batch_size: 1, ..Recipe::default() }, "a batch of 1 pair"),
            (dropout, "--force-patch-dropout"),
            (Recipe { lock_image: Some(1), ..Recipe::default() }, "--lock-image-unlocked-groups"),
            (Recipe { opt: Opt::Muon, lock_text: Some(0), ..Recipe::default() }, "--opt muon"),
            (
                Recipe { opt: Opt::Lion, adam_stats: AdamStats::Fp16, ..Recipe::default() },
                "--adam-stats",
            ),
            (Recipe { lr_scheduler: cooled, ..Recipe::default() }, "--epochs-cooldown 0"),
        ] {
            let message = recipe.check(&resnet).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
    }
}
