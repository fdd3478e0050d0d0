//! A training run: model, optimiser, data, and where they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clip_model::{Clip, ModelConfig};
use clip_torch::tch::{self, Device, Kind, Tensor};
use clip_torch::{Precision, Reducer};

use crate::checkpoint::state_of;
use crate::hooks::{Meter, Phase};
use crate::optim::Optimizer;
use crate::replicas::{COMPARE_STEPS, same_start};
use crate::{
    Batch, Checkpoint, Corpus, Due, EpochSampler, Error, Hooks, Loader, LoaderOptions, Logs,
    Objective, ProcessGroup, Recipe, Result, Schedule, StepMetrics,
};

/// What the machine decides, not the recipe.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// Seed of order, captions, augmentation and weights.
    pub seed: u64,
    /// Pairs that are in the model at a time, on each process.
    pub chunk: usize,
    /// Threads that decode and augment.
    pub threads: usize,
    /// Time between two checkpoints.
    pub save_every: Duration,
    /// Steps between two checkpoints; 0 for none but those by time.
    pub save_steps: u64,
    /// Epochs between two of open_clip's `epoch_N.pt`; 0 for none.
    pub save_epochs: u64,
    /// Checkpoints that are kept.
    pub keep: usize,
    /// Steps between two lines of `out.log`.
    pub log_steps: u64,
    /// Epochs between two evaluations on held-out pairs, and one at the end; 0 for none.
    pub val_epochs: u64,
    /// The same of zero-shot classification.
    pub zeroshot_epochs: u64,
    /// Whether blocks are computed again in the backward pass instead of kept.
    pub grad_checkpointing: bool,
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
    /// The processes that train it.
    pub world: ProcessGroup,
    pub(crate) recipe: Recipe,
    pub(crate) options: TrainOptions,
    pub(crate) precision: Precision,
    pub(crate) learner: Optimizer,
    /// Parameters of the loss itself: their gradients are averaged apart.
    pub(crate) scalars: Vec<Tensor>,
    pub(crate) reducer: Option<Reducer>,
    pub(crate) plan: EpochSampler,
    pub(crate) corpus: Arc<Corpus>,
    pub(crate) step: u64,
    /// Whether the epoch that ended with the last step is still to be evaluated and exported.
    pub(crate) epoch_open: bool,
}

impl Trainer {
    /// A run over `corpus`, from its start. All processes get rank 0's weights.
    pub fn new(
        mut model: Clip,
        recipe: Recipe,
        corpus: Arc<Corpus>,
        options: TrainOptions,
        world: ProcessGroup,
    ) -> Result<Self> {
        let precision = recipe.arithmetic(model.device().is_cuda())?;
        // Nearly all batches have one shape: cuDNN may look for its fastest convolutions.
        tch::Cuda::cudnn_set_benchmark(true);
        recipe.check(model.config())?;
        let (batch, epochs) = (recipe.batch_size, recipe.epochs);
        let samples = recipe.train_num_samples;
        let plan = EpochSampler::with_samples(&corpus, options.seed, batch, epochs, samples)?;
        if recipe.objective == Objective::Sigmoid {
            // For weights of a model that was trained without one; open_clip begins so, too.
            model.add_logit_bias(0.0);
        }
        model.prepare_training(recipe.lock_image.is_some());
        model.set_grad_checkpointing(options.grad_checkpointing);
        let begins = state_of(&recipe, &options, &plan, &corpus);
        let config = serde_json::to_string(model.config());
        let config = config.map_err(|e| Error::Recipe(e.to_string()))?;
        same_start(&world, &begins, &config, options.chunk)?;
        let state: Vec<Tensor> =
            model.state_dict().iter().map(|(_, t)| t.shallow_clone()).collect();
        world.broadcast(&state)?;
        let learner = Optimizer::new(&model, &recipe, precision);
        let scalars = learner.params().filter(|(name, _)| name.starts_with("logit_"));
        let scalars = scalars.map(|(_, tensor)| tensor.shallow_clone()).collect();
        let averaged = learner.params().filter(|(name, _)| !name.starts_with("logit_"));
        let averaged: Vec<Tensor> = averaged.map(|(_, tensor)| tensor.shallow_clone()).collect();
        let reducer = match world.group() {
            Some(group) if !averaged.is_empty() => {
                Some(Reducer::new(group, &averaged).map_err(|e| world.diagnose_peer_failure(&e))?)
            }
            _ => None,
        };
        Ok(Self {
            model,
            world,
            recipe,
            options,
            precision,
            learner,
            scalars,
            reducer,
            plan,
            corpus,
            step: 0,
            epoch_open: false,
        })
    }

    /// Goes on where a checkpoint stopped.
    ///
    /// # Errors
    /// When the checkpoint is of another corpus, seed or recipe: the run would not be the same run.
    pub fn resume(&mut self, folder: &Path) -> Result<()> {
        let state = Checkpoint::read(folder)?;
        let mine = self.state();
        let other = Checkpoint {
            step: self.step,
            scaler: mine.scaler,
            epoch_open: mine.epoch_open,
            files: mine.files.clone(),
            ..state.clone()
        };
        if other != mine {
            return Err(Error::file(
                folder,
                format!(
                    "the checkpoint is of another corpus, seed or recipe ({})\n\
                     hint: give the flags of the first start, or another --name",
                    state.first_difference(&mine)
                ),
            ));
        }
        state.check_files(folder)?;
        self.restore(folder, &state)?;
        self.step = state.step;
        self.epoch_open = state.epoch_open;
        Ok(())
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The order of the data.
    pub fn plan(&self) -> &EpochSampler {
        &self.plan
    }

    /// Steps taken.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// Steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        self.plan.steps()
    }

    /// Bytes of the optimiser's moments, and of the trained weights.
    pub fn memory(&self) -> (usize, usize) {
        let of = |tensor: &Tensor| tensor.numel() * tensor.kind().elt_size_in_bytes();
        (self.learner.moment_bytes(), self.learner.params().map(|(_, tensor)| of(tensor)).sum())
    }

    /// Steps of cool-down at the end.
    pub(crate) fn cooldown(&self) -> u64 {
        if self.recipe.lr_scheduler != Schedule::ConstCooldown {
            return 0;
        }
        let first = self.recipe.epochs.saturating_sub(self.recipe.epochs_cooldown);
        self.plan.steps() - self.plan.first_step(first)
    }

    /// Trains to the end, or until `hooks` says stop. Only rank 0 has `logs`.
    ///
    /// What is not complete when `hooks` is interrupted is dropped by all processes together: of a
    /// step nothing stays, and an epoch whose evaluation was cut off is evaluated when the run
    /// is resumed.
    pub fn run(&mut self, mut logs: Option<&mut Logs>, hooks: &mut dyn Hooks) -> Result<Outcome> {
        let loader = LoaderOptions {
            size: self.model.config().vision_cfg.image_size as u32,
            augment: self.recipe.augment.parse().map_err(Error::Recipe)?,
            preprocess: *self.model.preprocess(),
            seed: self.options.seed,
            threads: self.options.threads,
            share: (self.world.rank(), self.world.size()),
            device: self.model.device(),
        };
        let mut loader = Loader::start(&self.corpus, &self.plan, &loader, self.step)?;
        let contrastive = self.recipe.objective == Objective::Contrastive;
        let mut watch = crate::Health::new(self.recipe.batch_size, contrastive);
        let mut saved = (self.step, Instant::now());
        let mut faults = 0;
        self.same_weights()?;
        if let Some(logs) = logs.as_deref_mut() {
            logs.keep_scores(|epoch| self.is_evaluated(epoch))?;
        }
        if let Some(epoch) = self.ended_epoch().filter(|_| self.epoch_open) {
            if !self.end_epoch(logs.as_deref_mut(), hooks, epoch)? {
                return Ok(Outcome::Stopped);
            }
            if let Some(logs) = logs.as_deref_mut() {
                self.write_state(&logs.checkpoints())?;
            }
        }
        while self.step < self.plan.steps() {
            let started = Instant::now();
            let batch = self.next_batch(&mut loader, hooks)?;
            let data_wait = started.elapsed().as_secs_f64();
            let done = match &batch {
                Some(batch) => self.train(batch, hooks)?,
                None => None,
            };
            let Some((mut step, stop)) = done else {
                if let Some(logs) = logs.as_deref_mut().filter(|_| self.step > saved.0) {
                    self.save(logs)?;
                }
                return Ok(Outcome::Stopped);
            };
            step.data_wait = data_wait;
            step.seconds = started.elapsed().as_secs_f64();
            step.samples_per_second = self.recipe.batch_size as f64 / step.seconds;
            for fault in loader.take_faults() {
                faults += 1;
                if faults <= 10 {
                    hooks.warn(&format!("{fault}; another pair takes its place"));
                }
            }
            hooks.on_step(&step, self.plan.steps());
            if let Some(logs) = logs.as_deref_mut() {
                logs.step(&step)?;
                // As in open_clip: counted from the epoch's first step, and its last one too.
                let (first, next) =
                    (self.plan.first_step(step.epoch), self.plan.first_step(step.epoch + 1));
                let every = self.options.log_steps.max(1);
                if (step.step - first).is_multiple_of(every) || step.step + 1 == next {
                    self.report(logs, &step)?;
                }
                for text in watch.step(&step) {
                    logs.warning(&text)?;
                    hooks.warn(&text);
                }
            }
            let ended = self.step == self.plan.steps();
            let epoch = self.ended_epoch();
            if epoch.is_some() || self.step.is_multiple_of(COMPARE_STEPS) {
                self.same_weights()?;
            }
            let closed = match epoch {
                Some(epoch) => self.end_epoch(logs.as_deref_mut(), hooks, epoch)?,
                None => true,
            };
            let stop = stop || !closed;
            let by_steps =
                self.options.save_steps > 0 && self.step.is_multiple_of(self.options.save_steps);
            let by_time = saved.1.elapsed() >= self.options.save_every;
            if let Some(logs) = logs.as_deref_mut()
                && (stop || ended || by_steps || by_time)
            {
                self.save(logs)?;
                saved = (self.step, Instant::now());
            }
            if stop && !(ended && closed) {
                return Ok(Outcome::Stopped);
            }
        }
        if faults > 10 {
            hooks.warn(&format!("{faults} images could not be read"));
        }
        Ok(Outcome::Finished)
    }

    /// The next batch, or none when one of the processes is to stop at once.
    fn next_batch(&self, loader: &mut Loader, hooks: &mut dyn Hooks) -> Result<Option<Batch>> {
        let (processes, batch) = (self.world.size(), self.recipe.batch_size);
        let mut meter = Meter::start(self.step, Phase::Loading, batch / processes, processes);
        let batch = loader.next_batch(&mut |rows| {
            meter.report(rows, rows, hooks);
            self.world.asked(hooks.interrupted())
        })?;
        let stop = batch.is_none() || hooks.interrupted();
        Ok(if self.world.any(stop)? { None } else { batch })
    }

    /// The epoch that the last step has ended, from 1.
    fn ended_epoch(&self) -> Option<u64> {
        let last = self.step.checked_sub(1)?;
        let later = self.plan.epoch(last) + 1..=self.plan.epochs();
        later.into_iter().find(|&epoch| self.plan.first_step(epoch) == self.step)
    }

    /// Whether the evaluation after that epoch is done.
    fn is_evaluated(&self, epoch: u64) -> bool {
        let at = (epoch <= self.plan.epochs()).then(|| self.plan.first_step(epoch));
        at.is_some_and(|at| at < self.step || (at == self.step && !self.epoch_open))
    }

    /// Evaluates and writes open_clip's checkpoint where the schedule says so; whether that was
    /// done to its end.
    fn end_epoch(
        &mut self,
        logs: Option<&mut Logs>,
        hooks: &mut dyn Hooks,
        epoch: u64,
    ) -> Result<bool> {
        let ended = self.step == self.plan.steps();
        self.epoch_open = true;
        self.share_buffers()?;
        let due = |every: u64| every > 0 && (epoch.is_multiple_of(every) || ended);
        let wanted =
            Due { val: due(self.options.val_epochs), zeroshot: due(self.options.zeroshot_epochs) };
        let scores = if wanted.val || wanted.zeroshot {
            let (precision, world) = (self.precision, &self.world);
            let scores =
                self.model.evaluating(|model| hooks.evaluate(model, precision, world, wanted));
            match scores {
                Err(Error::Interrupted) => return Ok(false),
                scores => scores?,
            }
        } else {
            Vec::new()
        };
        self.epoch_open = false;
        let Some(logs) = logs else { return Ok(true) };
        if !scores.is_empty() {
            logs.scores(epoch, self.step, &scores)?;
        }
        if due(self.options.save_epochs) {
            self.export(&logs.checkpoints().join(format!("epoch_{epoch}.pt")), epoch)?;
        }
        Ok(true)
    }

    /// Writes a checkpoint and removes all but the newest.
    pub fn save(&self, logs: &Logs) -> Result<PathBuf> {
        let folder = logs.checkpoints();
        let saved = self.write(&folder)?;
        let all = crate::checkpoints(&folder);
        for old in all.iter().take(all.len().saturating_sub(self.options.keep.max(1))) {
            std::fs::remove_dir_all(old).map_err(|e| Error::io(old, e))?;
        }
        Ok(saved)
    }

    /// open_clip's line, whose form its users' tools look for.
    fn report(&self, logs: &mut Logs, step: &StepMetrics) -> Result<()> {
        let plan = &self.plan;
        let (first, next) = (plan.first_step(step.epoch), plan.first_step(step.epoch + 1));
        let batch = self.recipe.batch_size as u64;
        let (at, all) = (step.step - first + 1, (next - first).max(1));
        let (seen, of) = (at * batch, all * batch);
        logs.info(&format!(
            "Train Epoch: {epoch} [{seen:>width$}/{of} ({percent:.0}%)] Data (t): {data:.3} Batch (t): {seconds:.3}, \
             {rate:.6}/s, {each:.6}/s/gpu LR: {lr:.6} Logit Scale: {scale:.3} \
             Contrastive_loss: {loss:.5} ({loss:.5}) Loss: {loss:.5} ({loss:.5})",
            epoch = step.epoch,
            width = of.to_string().len(),
            percent = 100.0 * at as f64 / all as f64,
            data = step.data_wait,
            seconds = step.seconds,
            rate = step.samples_per_second,
            each = step.samples_per_second / self.world.size() as f64,
            lr = step.lr,
            scale = step.logit_scale,
            loss = step.loss,
        ))
    }
}

/// A model with fresh weights, drawn from libtorch's global generator, as the objective wants it:
/// the sigmoid loss begins at a scale of 10 and a bias of -10 (Zhai et al. 2023), since a batch is
/// mostly wrong pairs.
pub fn fresh(config: &ModelConfig, objective: Objective, device: Device) -> Clip {
    let mut model = Clip::new(config, device);
    if objective == Objective::Sigmoid {
        model.set_logit_scale(10.0);
        model.add_logit_bias(-10.0);
    }
    model
}

/// A parameter's values as they are stored: in 32 bits.
pub(crate) fn stored(tensor: &Tensor) -> Tensor {
    if tensor.is_floating_point() { tensor.detach().to_kind(Kind::Float) } else { tensor.detach() }
}
