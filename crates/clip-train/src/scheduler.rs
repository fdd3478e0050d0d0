//! The learning rate of each step: open_clip's `cosine_lr`, `const_lr` and `const_lr_cooldown`.

use clip_loader::Epochs;

use crate::{Recipe, Schedule};

/// The learning rate of a run of known length.
#[derive(Debug, Clone)]
pub struct Scheduler {
    schedule: Schedule,
    /// At the end of the warm-up.
    peak: f64,
    warmup: u64,
    total: u64,
    /// Steps of cool-down at the end.
    cooldown: u64,
    end: f64,
    power: f64,
}

impl Scheduler {
    /// For `total` steps, the last `cooldown` of which cool down where the recipe has a cool-down.
    pub fn new(recipe: &Recipe, total: u64, cooldown: u64) -> Self {
        Self {
            schedule: recipe.lr_scheduler,
            peak: recipe.lr,
            warmup: recipe.warmup,
            total,
            cooldown,
            end: recipe.lr_cooldown_end,
            power: recipe.lr_cooldown_power,
        }
    }

    /// For a run of those epochs.
    pub fn of_run(recipe: &Recipe, epochs: &Epochs) -> Self {
        let cooled = recipe.lr_scheduler == Schedule::ConstCooldown;
        let first = recipe.epochs.saturating_sub(recipe.epochs_cooldown);
        let cooldown = if cooled { epochs.steps() - epochs.first_step(first) } else { 0 };
        Self::new(recipe, epochs.steps(), cooldown)
    }

    /// What is odd about it: a warm-up that the run does not get beyond.
    pub fn warning(&self) -> Option<String> {
        let last = self.total.checked_sub(1)?;
        (self.warmup >= self.total).then(|| {
            format!(
                "--warmup {} is not shorter than the run's {} steps: the highest learning rate is {:.3e}, of --lr {}\n\
                 hint: a shorter --warmup, or more steps",
                self.warmup,
                self.total,
                self.lr(last),
                self.peak
            )
        })
    }

    /// The learning rate of step `step`, from 0.
    pub fn lr(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let start = self.total.saturating_sub(self.cooldown);
        match self.schedule {
            Schedule::Cosine => {
                let all = self.total.saturating_sub(self.warmup).max(1);
                let done = (step - self.warmup) as f64 / all as f64;
                0.5 * (1.0 + (std::f64::consts::PI * done).cos()) * self.peak
            }
            Schedule::ConstCooldown if step >= start => {
                let left = 1.0 - (step - start) as f64 / self.cooldown.max(1) as f64;
                left.powf(self.power) * (self.peak - self.end) + self.end
            }
            Schedule::Const | Schedule::ConstCooldown => self.peak,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_then_cosine() {
        let recipe = Recipe { lr: 1.0, warmup: 10, ..Recipe::default() };
        let scheduler = Scheduler::new(&recipe, 110, 0);
        let at = |step| scheduler.lr(step);
        assert_eq!((at(0), at(9), at(10)), (0.1, 1.0, 1.0));
        assert!((at(60) - 0.5).abs() < 1e-12);
        assert!(at(109) < 1e-3);
    }

    #[test]
    fn a_warm_up_that_does_not_end_is_odd() {
        let recipe = Recipe { lr: 5e-4, warmup: 100, ..Recipe::default() };
        let warning = |total| Scheduler::new(&recipe, total, 0).warning();
        assert_eq!((warning(0), warning(101)), (None, None));
        assert!(
            warning(100).unwrap().contains("highest learning rate is 5.000e-4, of --lr 0.0005")
        );
        assert!(
            warning(20)
                .unwrap()
                .contains("the run's 20 steps: the highest learning rate is 1.000e-4")
        );
    }

    #[test]
    fn constant_and_cool_down() {
        let recipe = Recipe {
            lr: 1.0,
            warmup: 0,
            lr_scheduler: Schedule::ConstCooldown,
            lr_cooldown_end: 0.2,
            ..Recipe::default()
        };
        let scheduler = Scheduler::new(&recipe, 100, 40);
        let at = |step| scheduler.lr(step);
        assert_eq!((at(0), at(59), at(60)), (1.0, 1.0, 1.0));
        assert!((at(80) - 0.6).abs() < 1e-12 && at(99) < 0.23);
    }
}
