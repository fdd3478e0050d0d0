//! Warnings that explain: what is wrong with a run that does not fail.

use std::collections::VecDeque;

use crate::StepMetrics;

/// Steps that are looked at together.
const WINDOW: usize = 100;

/// Looks at the steps of a run and says each thing once.
pub struct Health {
    batch: usize,
    contrastive: bool,
    recent: VecDeque<StepMetrics>,
    said: Vec<&'static str>,
}

impl Health {
    /// `batch` is the whole batch; `contrastive` says that blind guessing costs its logarithm.
    pub fn new(batch: usize, contrastive: bool) -> Self {
        Self { batch, contrastive, recent: VecDeque::new(), said: Vec::new() }
    }

    /// What there is to say after this step.
    pub fn step(&mut self, step: &StepMetrics) -> Vec<String> {
        self.recent.push_back(step.clone());
        if self.recent.len() > WINDOW {
            self.recent.pop_front();
        }
        if self.recent.len() < WINDOW {
            return Vec::new();
        }
        // It may begin above, and fall: then something is learned, whatever the mean is.
        let half =
            |steps: &[StepMetrics]| steps.iter().map(|s| s.loss).sum::<f64>() / steps.len() as f64;
        let (first, last) = self.recent.make_contiguous().split_at(WINDOW / 2);
        let (first, last) = (half(first), half(last));
        let mean = |of: fn(&StepMetrics) -> f64| {
            self.recent.iter().map(of).sum::<f64>() / self.recent.len() as f64
        };
        let blind = (self.batch as f64).ln();
        let (wait, seconds) = (mean(|s| s.data_wait), mean(|s| s.seconds));
        let clamped = self.recent.iter().all(|s| s.logit_scale > 99.99);
        let skipped = self.recent.iter().filter(|s| s.skipped).count();
        let findings = [
            (
                "blind",
                self.contrastive && last > 0.99 * blind && first - last < 0.02 * blind,
                format!(
                    "the loss has stayed at ln(batch) = {blind:.3} for {WINDOW} steps: nothing is learned\n\
                     hint: do the captions belong to the images? else try a lower --lr or a longer --warmup"
                ),
            ),
            (
                "wait",
                wait > 0.2 * seconds,
                format!(
                    "{:.0}% of the time the model waits for images\n\
                     hint: more --workers, a faster disk, or smaller images in the shards",
                    100.0 * wait / seconds
                ),
            ),
            (
                "scale",
                self.contrastive && clamped,
                format!(
                    "the logit scale has been at its bound of 100 for {WINDOW} steps\n\
                     hint: usual late in a long run; early it means a learning rate that is too high, or pairs seen too often"
                ),
            ),
            (
                "overflow",
                skipped * 5 > WINDOW,
                format!(
                    "{skipped} of {WINDOW} steps overflowed float16 and changed nothing\n\
                     hint: --precision amp_bf16 has no such bound"
                ),
            ),
        ];
        let mut new = Vec::new();
        for (name, holds, text) in findings {
            if holds && !self.said.contains(&name) {
                self.said.push(name);
                new.push(text);
            }
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(step: StepMetrics) -> Vec<String> {
        let mut watch = Health::new(64, true);
        (0..3 * WINDOW).flat_map(|_| watch.step(&step)).collect()
    }

    #[test]
    fn each_finding_is_reported_once() {
        let fine =
            StepMetrics { loss: 2.0, seconds: 1.0, logit_scale: 20.0, ..StepMetrics::default() };
        assert_eq!(said(fine.clone()), Vec::<String>::new());
        for (step, word) in [
            (StepMetrics { loss: 64f64.ln(), ..fine.clone() }, "ln(batch)"),
            (StepMetrics { data_wait: 0.5, ..fine.clone() }, "50% of the time"),
            (StepMetrics { logit_scale: 100.0, ..fine.clone() }, "bound of 100"),
            (StepMetrics { skipped: true, ..fine.clone() }, "float16"),
        ] {
            let found = said(step);
            assert!(found.len() == 1 && found[0].contains(word), "{found:?}");
        }
    }

    #[test]
    fn a_loss_that_falls_is_not_called_blind() {
        let blind = 16f64.ln();
        let steps = |loss: &dyn Fn(usize) -> f64| -> Vec<String> {
            let mut watch = Health::new(16, true);
            let step = |at| StepMetrics { loss: loss(at), seconds: 1.0, ..StepMetrics::default() };
            (0..WINDOW).flat_map(|at| watch.step(&step(at))).collect()
        };
        assert_eq!(steps(&|at| blind * (1.3 - 0.003 * at as f64)), Vec::<String>::new());
        assert_eq!(steps(&|at| blind * (1.0 + 0.01 * (at % 2) as f64)).len(), 1);
    }
}
