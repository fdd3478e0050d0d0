//! The training loop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clip_model::Clip;
use clip_torch::tch::{Device, Kind, Tensor, no_grad};
use clip_torch::{AdamW, Precision, autocast};
use serde::Serialize;

use crate::{
    Batch, Checkpoint, Corpus, Error, Loader, LoaderOptions, Logs, Recipe, Result, contrastive,
    is_decayed,
};

/// CLIP's pixel mean and standard deviation (OpenAI CLIP, `clip.py`).
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// What one step did.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Its number, from 0.
    pub step: u64,
    /// The contrastive loss.
    pub loss: f64,
    /// The learning rate.
    pub lr: f64,
    /// The inverse of the temperature, after the step.
    pub logit_scale: f64,
    /// Norm of all gradients together, before clipping.
    pub grad_norm: f64,
    /// Seconds spent waiting for data.
    pub data_wait: f64,
    /// Seconds of the whole step.
    pub seconds: f64,
    /// Pairs a second.
    pub samples_per_second: f64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Finished,
    /// Its time was over, or it was asked to stop; a checkpoint was written.
    Stopped,
}

/// A model, its optimiser, and where they are in the run.
pub struct Trainer {
    /// The model.
    pub model: Clip,
    recipe: Recipe,
    precision: Precision,
    params: [Vec<Tensor>; 2],
    names: Vec<Vec<String>>,
    adam: Vec<AdamW>,
    step: u64,
    total: u64,
    options: LoaderOptions,
    corpus: Arc<Corpus>,
}

impl Trainer {
    /// A run over `corpus`, from its start.
    pub fn new(
        model: Clip,
        recipe: Recipe,
        corpus: Arc<Corpus>,
        options: LoaderOptions,
    ) -> Result<Self> {
        let precision = recipe.arithmetic(model.device().is_cuda())?;
        let total = Loader::steps_per_epoch(&corpus, &options) * recipe.epochs;
        // open_clip's groups: what is spared of decay first.
        let mut params = [Vec::new(), Vec::new()];
        let mut names = vec![Vec::new(), Vec::new()];
        for (name, tensor) in model.named_parameters() {
            let group = usize::from(is_decayed(name, tensor.dim()));
            params[group].push(tensor.shallow_clone());
            names[group].push(name.clone());
        }
        let betas = (recipe.beta1, recipe.beta2);
        let decays = [0.0, recipe.wd];
        let adam = decays.iter().zip(&params);
        let adam = adam.map(|(&wd, params)| AdamW::new(params, betas, recipe.eps, wd)).collect();
        Ok(Self { model, recipe, precision, params, names, adam, step: 0, total, options, corpus })
    }

    /// Goes on where a checkpoint stopped.
    ///
    /// # Errors
    /// When the checkpoint is of another corpus, seed or recipe: the run would not be the same run.
    pub fn resume(&mut self, folder: &std::path::Path) -> Result<()> {
        let state = Checkpoint::read(folder)?;
        let mine = self.state();
        let other = Checkpoint { step: self.step, ..state.clone() };
        if other != mine {
            return Err(Error::file(
                folder,
                "the checkpoint is of another corpus, seed or recipe\nhint: give the flags of the first start, or another --name",
            ));
        }
        Checkpoint::restore(folder, &mut self.model, &self.names, &mut self.adam)?;
        self.step = state.step;
        Ok(())
    }

    fn state(&self) -> Checkpoint {
        Checkpoint {
            step: self.step,
            seed: self.options.seed,
            total_steps: self.total,
            pairs: self.corpus.pairs().len(),
            recipe: self.recipe.clone(),
        }
    }

    /// Steps taken.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// Steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        self.total
    }

    /// Writes a checkpoint and removes all but the newest `keep`.
    pub fn save(&self, logs: &Logs, keep: usize) -> Result<PathBuf> {
        let folder = logs.checkpoints();
        let saved = self.state().save(&folder, &self.model, &self.names, &self.adam)?;
        let all = crate::checkpoints(&folder);
        for old in all.iter().take(all.len().saturating_sub(keep.max(1))) {
            std::fs::remove_dir_all(old).map_err(|e| Error::io(old, e))?;
        }
        Ok(saved)
    }

    /// Trains to the end, or until `stop` says so after a step; `seen` hears of every step.
    ///
    /// Checkpoints are written every `every`, and at the end.
    pub fn run(
        &mut self,
        logs: &mut Logs,
        every: Duration,
        keep: usize,
        stop: &dyn Fn() -> bool,
        seen: &mut dyn FnMut(&Step, u64),
    ) -> Result<Outcome> {
        let mut loader = Loader::start(&self.corpus, &self.options, self.step)?;
        let mut saved = Instant::now();
        while self.step < self.total {
            let started = Instant::now();
            let batch = loader.next_batch()?;
            let data_wait = started.elapsed().as_secs_f64();
            let mut step = self.train(&batch)?;
            step.data_wait = data_wait;
            step.seconds = started.elapsed().as_secs_f64();
            step.samples_per_second = batch.len as f64 / step.seconds;
            logs.step(&step)?;
            self.report(logs, &step)?;
            seen(&step, self.total);
            if stop() {
                self.save(logs, keep)?;
                return Ok(Outcome::Stopped);
            }
            if saved.elapsed() >= every {
                self.save(logs, keep)?;
                saved = Instant::now();
            }
        }
        self.save(logs, keep)?;
        Ok(Outcome::Finished)
    }

    /// One step on one batch.
    pub fn train(&mut self, batch: &Batch) -> Result<Step> {
        let device = self.model.device();
        let images = pixels(&batch.images, batch.len as i64, i64::from(self.options.size), device);
        let tokens =
            Tensor::from_slice(&batch.tokens).view([batch.len as i64, -1]).to_device(device);
        let model = &self.model;
        let (images, texts) = autocast(self.precision, device, || {
            (model.encode_image(&images), model.encode_text(&tokens))
        });
        // The loss stands outside autocast: logits in 16 bits would round away what the last epochs learn from.
        let loss = contrastive(&images, &texts, &model.logit_scale().exp());
        for mut param in self.params.iter().flatten().map(Tensor::shallow_clone) {
            param.zero_grad();
        }
        loss.f_backward()?;
        let value = loss.double_value(&[]);
        if !value.is_finite() {
            return Err(Error::Diverged { step: self.step, loss: value });
        }
        let grad_norm = self.clip();
        let lr = self.recipe.lr_at(self.step, self.total);
        for (adam, params) in self.adam.iter_mut().zip(&self.params) {
            adam.step(params, lr)?;
        }
        self.model.clamp_logit_scale();
        let step = Step {
            step: self.step,
            loss: value,
            lr,
            logit_scale: self.model.logit_scale().double_value(&[]).exp(),
            grad_norm,
            data_wait: 0.0,
            seconds: 0.0,
            samples_per_second: 0.0,
        };
        self.step += 1;
        Ok(step)
    }

    /// The norm of all gradients; scales them when it is above the recipe's bound.
    fn clip(&self) -> f64 {
        no_grad(|| {
            let grads: Vec<Tensor> =
                self.params.iter().flatten().map(Tensor::grad).filter(Tensor::defined).collect();
            let norms: Vec<Tensor> = grads.iter().map(Tensor::norm).collect();
            let norm = Tensor::stack(&norms, 0).norm().double_value(&[]);
            if let Some(bound) = self.recipe.grad_clip_norm.filter(|&bound| norm > bound) {
                for mut grad in grads {
                    let _ = grad.g_mul_scalar_(bound / (norm + 1e-6));
                }
            }
            norm
        })
    }

    /// open_clip's line, whose form its users' tools look for.
    fn report(&self, logs: &mut Logs, step: &Step) -> Result<()> {
        let per_epoch = self.total / self.recipe.epochs.max(1);
        let (epoch, at) = (step.step / per_epoch, step.step % per_epoch + 1);
        let batch = self.options.batch as u64;
        let (seen, all) = (at * batch, per_epoch * batch);
        logs.info(&format!(
            "Train Epoch: {epoch} [{seen:>width$}/{all} ({percent:.0}%)] Data (t): {data:.3} Batch (t): {seconds:.3}, \
             {rate:.6}/s, {rate:.6}/s/gpu LR: {lr:.6} Logit Scale: {scale:.3} \
             Contrastive_loss: {loss:.5} ({loss:.5}) Loss: {loss:.5} ({loss:.5})",
            width = all.to_string().len(),
            percent = 100.0 * at as f64 / per_epoch as f64,
            data = step.data_wait,
            seconds = step.seconds,
            rate = step.samples_per_second,
            lr = step.lr,
            scale = step.logit_scale,
            loss = step.loss,
        ))
    }
}

/// Bytes [batch, size, size, 3] to normalised pixels [batch, 3, size, size] on the device.
pub fn pixels(bytes: &[u8], batch: i64, size: i64, device: Device) -> Tensor {
    let channel =
        |values: [f32; 3]| Tensor::from_slice(&values).view([1, 3, 1, 1]).to_device(device);
    let images = Tensor::from_slice(bytes).view([batch, size, size, 3]).to_device(device);
    let images = images.permute([0, 3, 1, 2]).to_kind(Kind::Float) / 255.0;
    ((images - channel(MEAN)) / channel(STD)).contiguous()
}
