//! A training run: model, optimizer, data, and where they are.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clip_loader::{Epochs, LoaderOptions, Sampler, TrainData};
use clip_model::Clip;
use clip_random::mix;
use clip_torch::tch::{self, Tensor};
use clip_torch::{Precision, Reducer, caught, synchronize};

use crate::checkpoint::state_of;
use crate::hooks::{Meter, Phase};
use crate::optim::{Trained, tensor_bytes};
use crate::pt;
use crate::replicas::{COMPARE_STEPS, buffers, same_start, same_weights};
use crate::step::{Passed, Passes, agree};
use crate::{
    Batch, Checkpoint, Due, Error, Hooks, Loader, Logs, Objective, Outcome, ProcessGroup, Recipe,
    Result, Scheduler, StepMetrics, TrainOptions,
};

/// A model, its optimizer, and where they are in the run.
pub struct Trainer {
    /// The model.
    pub model: Clip,
    /// The processes that train it.
    pub world: ProcessGroup,
    recipe: Recipe,
    options: TrainOptions,
    precision: Precision,
    pub(crate) trained: Trained,
    /// Parameters of the loss itself: their gradients are averaged apart.
    scalars: Vec<Tensor>,
    reducer: Option<Reducer>,
    sampler: Sampler,
    scheduler: Scheduler,
    data: TrainData,
    step: u64,
    /// Whether the epoch that ended with the last step is still to be evaluated and exported.
    epoch_open: bool,
}

impl Trainer {
    /// A run over `corpus`, from its start. All processes get rank 0's weights.
    pub fn new(
        mut model: Clip,
        recipe: Recipe,
        data: impl Into<TrainData>,
        options: TrainOptions,
        world: ProcessGroup,
    ) -> Result<Self> {
        let precision = recipe.resolve_precision(model.device().is_cuda())?;
        // Nearly all batches have one shape: cuDNN may look for its fastest convolutions.
        tch::Cuda::cudnn_set_benchmark(true);
        recipe.check(model.config())?;
        let (batch, epochs) = (recipe.batch_size, recipe.epochs);
        let samples = recipe.train_num_samples;
        let data = data.into();
        let sampler = data.sampler(options.seed, batch, epochs, samples)?;
        let scheduler = Scheduler::of_run(&recipe, sampler.epochs());
        if recipe.objective == Objective::Sigmoid {
            // For weights of a model that was trained without one; open_clip begins so, too.
            model.add_logit_bias(0.0);
        }
        model.prepare_training(recipe.lock_image.is_some());
        model.set_grad_checkpointing(options.grad_checkpointing);
        let begins = state_of(&recipe, &options, &data, sampler.epochs().steps());
        let config = serde_json::to_string(model.config());
        let config = config.map_err(|e| Error::Recipe(e.to_string()))?;
        same_start(&world, &begins, &config, options.chunk)?;
        let state: Vec<Tensor> =
            model.state_dict().iter().map(|(_, t)| t.shallow_clone()).collect();
        world.broadcast(&state)?;
        let trained = Trained::new(&model, &recipe, precision);
        let scalars = trained.params().filter(|(name, _)| name.starts_with("logit_"));
        let scalars = scalars.map(|(_, tensor)| tensor.shallow_clone()).collect();
        let averaged = trained.params().filter(|(name, _)| !name.starts_with("logit_"));
        let averaged: Vec<Tensor> = averaged.map(|(_, tensor)| tensor.shallow_clone()).collect();
        let reducer = match world.group() {
            Some(group) if !averaged.is_empty() => {
                Some(Reducer::new(group, &averaged).map_err(|e| world.diagnose_peer_failure(e))?)
            }
            _ => None,
        };
        Ok(Self {
            model,
            world,
            recipe,
            options,
            precision,
            trained,
            scalars,
            reducer,
            sampler,
            scheduler,
            data,
            step: 0,
            epoch_open: false,
        })
    }

    /// Resumes where a checkpoint stopped.
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
        state.restore(folder, &self.model, &mut self.trained)?;
        self.step = state.step;
        self.epoch_open = state.epoch_open;
        Ok(())
    }

    /// Resumes after the epoch of open_clip's checkpoint: weights and optimizer.
    ///
    /// # Errors
    /// When it is of another model, or its optimizer has other parameters.
    pub fn import(&mut self, path: &Path) -> Result<()> {
        let epochs = self.sampler.epochs().count();
        let epoch = pt::import(path, &mut self.model, &mut self.trained, epochs)?;
        self.step = self.epochs().first_step(epoch);
        Ok(())
    }

    /// Writes the state after `epoch` epochs (from 1) as open_clip does; the optimizer's is stored
    /// in 32 bits.
    pub fn export(&self, path: &Path, epoch: u64) -> Result<()> {
        let lr = self.scheduler.lr(self.step.saturating_sub(1));
        let about = pt::Export { epoch, lr, wrapped: self.world.size() > 1 };
        pt::export(path, &self.model, &self.trained, &about)
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The learning rate of each step.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// The order of the data.
    pub fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// Where epochs begin.
    pub fn epochs(&self) -> &Epochs {
        self.sampler.epochs()
    }

    /// What is trained on.
    pub fn data(&self) -> &TrainData {
        &self.data
    }

    /// Steps taken.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// Steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        self.epochs().steps()
    }

    /// Bytes of the optimizer's state, and of the trained weights.
    pub fn memory(&self) -> (usize, usize) {
        let weights = self.trained.params().map(|(_, tensor)| tensor_bytes(tensor)).sum();
        (self.trained.state_bytes(), weights)
    }

    /// The state of the run here.
    fn state(&self) -> Checkpoint {
        Checkpoint {
            step: self.step,
            scaler: self.trained.scaler.as_ref().map(|s| (s.scale, s.good_steps)),
            epoch_open: self.epoch_open,
            ..state_of(&self.recipe, &self.options, &self.data, self.total_steps())
        }
    }

    /// One step on this process's rows of a batch, and whether a process is to stop after it. None
    /// when one was asked to stop at once: nothing of the step stays, on any process.
    ///
    /// # Errors
    /// What libtorch reports, a lack of memory among it; nothing of that step is to be kept.
    pub fn train(
        &mut self,
        batch: &Batch,
        hooks: &mut dyn Hooks,
    ) -> Result<Option<(StepMetrics, bool)>> {
        caught(|| self.step_on(batch, hooks))?
    }

    fn step_on(
        &mut self,
        batch: &Batch,
        hooks: &mut dyn Hooks,
    ) -> Result<Option<(StepMetrics, bool)>> {
        let started = Instant::now();
        self.world.reset_clock();
        self.trained.clear_gradients();
        let passes = Passes {
            model: &self.model,
            world: &self.world,
            recipe: &self.recipe,
            precision: self.precision,
            reducer: self.reducer.as_ref(),
            loss_scale: self.trained.loss_scale(),
            chunk: self.options.chunk,
            seed: self.options.seed,
            step: self.step,
        };
        let Some(Passed { loss, forward }) = passes.run(batch, hooks)? else { return Ok(None) };
        // A GPU is still at work on what it was asked to do.
        synchronize(self.model.device())?;
        let backward = started.elapsed().as_secs_f64() - forward - self.world.clock();
        let (loss, stop) =
            agree(&self.world, &self.scalars, loss, hooks.stop() || hooks.interrupted())?;
        if !loss.is_finite() {
            return Err(Error::Diverged { step: self.step, loss });
        }
        let updating = Instant::now();
        let lr = self.scheduler.lr(self.step);
        let seed = mix(self.options.seed ^ 0x5eed, self.step, 0);
        let update = self.trained.update(lr, self.recipe.grad_clip_norm, &self.scalars, seed)?;
        self.model.clamp_logit_scale();
        if let Some(decay) = self.recipe.ema_decay {
            self.trained.move_average(&self.model, decay);
        }
        let step = StepMetrics {
            step: self.step,
            epoch: self.epochs().epoch(self.step),
            loss,
            lr,
            // This waits for the GPU, too: after the step the loader fills the batch's memory
            // again, and a copy of it must not be in flight.
            logit_scale: self.model.logit_scale().double_value(&[]).exp(),
            grad_norm: update.grad_norm,
            skipped: update.skipped,
            forward,
            backward,
            optimizer: updating.elapsed().as_secs_f64(),
            communication: self.world.clock(),
            ..StepMetrics::default()
        };
        self.step += 1;
        Ok(Some((step, stop)))
    }

    /// Trains to the end, or until `hooks` says stop. Only rank 0 has `logs`.
    ///
    /// What is not complete when `hooks` is interrupted is dropped by all processes together: of a
    /// step nothing stays, and an epoch whose evaluation was cut off is evaluated when the run
    /// is resumed.
    pub fn run(&mut self, mut logs: Option<&mut Logs>, hooks: &mut dyn Hooks) -> Result<Outcome> {
        let loader = LoaderOptions {
            size: self.model.config().vision_cfg.image_size as u32,
            augment: self.recipe.augment,
            preprocess: *self.model.preprocess(),
            seed: self.options.seed,
            threads: self.options.threads,
            share: (self.world.rank(), self.world.size()),
            stride: 1,
        };
        let mut loader = Loader::start(&self.sampler, &loader, self.step, self.model.device())?;
        let contrastive = self.recipe.objective == Objective::Contrastive;
        let mut watch = crate::Health::new(self.recipe.batch_size, contrastive);
        let mut saved = (self.step, Instant::now());
        let mut faults = 0;
        self.compare_weights()?;
        if let Some(logs) = logs.as_deref_mut() {
            logs.keep_scores(|epoch| self.is_evaluated(epoch))?;
        }
        if let Some(epoch) = self.ended_epoch().filter(|_| self.epoch_open) {
            if !self.end_epoch(logs.as_deref_mut(), hooks, epoch)? {
                return Ok(Outcome::Stopped);
            }
            if let Some(logs) = logs.as_deref_mut() {
                self.state().save_again(&logs.checkpoints())?;
            }
        }
        while self.step < self.total_steps() {
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
            hooks.on_step(&step, self.total_steps());
            if let Some(logs) = logs.as_deref_mut() {
                logs.step(&step)?;
                // As in open_clip: counted from the epoch's first step, and its last one too.
                let epoch =
                    self.epochs().first_step(step.epoch)..self.epochs().first_step(step.epoch + 1);
                let every = self.options.log_steps.max(1);
                if (step.step - epoch.start).is_multiple_of(every) || step.step + 1 == epoch.end {
                    logs.train_line(&step, epoch, self.recipe.batch_size, self.world.size())?;
                }
                for text in watch.step(&step) {
                    logs.warning(&text)?;
                    hooks.warn(&text);
                }
            }
            let ended = self.step == self.total_steps();
            let epoch = self.ended_epoch();
            if epoch.is_some() || self.step.is_multiple_of(COMPARE_STEPS) {
                self.compare_weights()?;
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
        let later = self.epochs().epoch(last) + 1..=self.epochs().count();
        later.into_iter().find(|&epoch| self.epochs().first_step(epoch) == self.step)
    }

    /// Whether the evaluation after that epoch is done.
    fn is_evaluated(&self, epoch: u64) -> bool {
        let at = (epoch <= self.epochs().count()).then(|| self.epochs().first_step(epoch));
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
        let ended = self.step == self.total_steps();
        self.epoch_open = true;
        self.world.broadcast(&buffers(&self.model))?;
        let due = |every: u64| every > 0 && (epoch.is_multiple_of(every) || ended);
        let (val, zeroshot) = (due(self.options.val_epochs), due(self.options.zeroshot_epochs));
        let wanted = Due { epoch, step: self.step, val, zeroshot };
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
    pub fn save(&self, logs: &mut Logs) -> Result<PathBuf> {
        logs.flush()?;
        let folder = logs.checkpoints();
        let saved = self.state().save(&folder, &self.model, &self.trained)?;
        let all = crate::checkpoints(&folder);
        for old in all.iter().take(all.len().saturating_sub(self.options.keep.max(1))) {
            std::fs::remove_dir_all(old).map_err(|e| Error::io(old, e))?;
        }
        Ok(saved)
    }

    /// Fails when a process has other weights than rank 0.
    fn compare_weights(&self) -> Result<()> {
        same_weights(&self.world, &self.model, self.step)
    }
}
