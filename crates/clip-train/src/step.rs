//! One step: forward, loss and backward, for any batch in any memory and on any number of
//! processes.

use std::time::Instant;

use clip_model::{Clip, PatchDropout};
use clip_random::mix;
use clip_torch::tch::{Kind, Tensor, no_grad};
use clip_torch::{Precision, Reducer, autocast, backward, freeze_statistics};

use crate::hooks::{Meter, Phase};
use crate::loss::{Gradients, Temperature, contrastive, sum};
use crate::replicas::buffers;
use crate::{Batch, Error, Hooks, Objective, ProcessGroup, Recipe, Result};

/// Some rows of a batch.
struct Chunk {
    first: i64,
    rows: i64,
}

/// The passes of one step through the model, forward and backward, and what they need.
pub(crate) struct Passes<'a> {
    pub model: &'a Clip,
    pub world: &'a ProcessGroup,
    pub recipe: &'a Recipe,
    pub precision: Precision,
    /// Averages gradients over the processes while the last backward pass runs.
    pub reducer: Option<&'a Reducer>,
    /// What losses are multiplied with before the backward pass.
    pub loss_scale: f64,
    /// Pairs that are in the model at a time.
    pub chunk: usize,
    pub seed: u64,
    pub step: u64,
}

/// What the passes of a step gave.
pub(crate) struct Passed {
    /// Over this process's rows.
    pub loss: f64,
    /// Seconds of the forward passes and the loss.
    pub forward: f64,
}

impl Passes<'_> {
    /// Gradients of the loss of this process's rows. None when a process was asked to stop at
    /// once: nothing but gradients of the step stays, on any process.
    pub fn run(&self, batch: &Batch, hooks: &mut dyn Hooks) -> Result<Option<Passed>> {
        if let Some(reducer) = &self.reducer {
            reducer.prepare_for_forward().map_err(|e| self.world.diagnose_peer_failure(e))?;
        }
        // Once: a copy of memory that is not pinned waits for the GPU.
        let tokens = batch.tokens.to_device(self.model.device());
        let batch = &Batch { images: batch.images.shallow_clone(), tokens, ..*batch };
        let chunks = self.chunks(batch);
        // Chunks move the running statistics of batch normalisation.
        let statistics = if chunks.len() > 1 { buffers(self.model) } else { Vec::new() };
        let before: Vec<Tensor> = statistics.iter().map(Tensor::copy).collect();
        let passed = match self.recipe.objective {
            Objective::Contrastive | Objective::Sigmoid => {
                self.contrastive_step(batch, &chunks, hooks)?
            }
            Objective::Caption | Objective::BagOfWords => {
                self.generative_step(batch, &chunks, hooks)?
            }
        };
        if passed.is_none() {
            for (target, source) in statistics.iter().zip(&before) {
                no_grad(|| target.detach().f_copy_(source))?;
            }
        }
        Ok(passed)
    }

    /// A loss over all pairs at once.
    ///
    /// A batch of one chunk is an ordinary forward and backward pass. A larger one is embedded in
    /// chunks without a graph, the loss is taken once over all embeddings, and each chunk is
    /// embedded again, now with a graph, to take its embeddings' gradients back (Gao et al.
    /// 2021): the gradients of the whole batch, in the memory of a chunk.
    fn contrastive_step(
        &self,
        batch: &Batch,
        chunks: &[Chunk],
        hooks: &mut dyn Hooks,
    ) -> Result<Option<Passed>> {
        let mut clock = Instant::now();
        let mut forward = 0.0;
        let lap = |clock: &mut Instant| {
            let seconds = clock.elapsed().as_secs_f64();
            *clock = Instant::now();
            seconds
        };
        let one = chunks.len() == 1;
        let features = if one {
            self.encode(batch, &chunks[0])
        } else {
            let (mut images, mut texts) = (Vec::new(), Vec::new());
            let mut meter = self.meter(Phase::Embedding, chunks);
            meter.report(0, 0, hooks);
            for (at, chunk) in chunks.iter().enumerate() {
                if self.drops(at + 1 == chunks.len(), hooks)? {
                    return Ok(None);
                }
                let (u, v) = no_grad(|| freeze_statistics(|| self.encode(batch, chunk)));
                images.push(u);
                texts.push(v);
                meter.chunk(chunk.rows, hooks);
            }
            (Tensor::cat(&images, 0), Tensor::cat(&texts, 0))
        };
        let sigmoid = self.recipe.objective == Objective::Sigmoid;
        let bias = self.model.logit_bias().filter(|_| sigmoid);
        let temperature = Temperature { log_scale: self.model.logit_scale(), bias };
        let talked = self.world.clock();
        let found = contrastive(&features.0, &features.1, temperature, self.world)?;
        forward += lap(&mut clock) - (self.world.clock() - talked);
        let scale = self.loss_scale;
        let Gradients { loss, images, texts } = found;
        let (images, texts) = (images * scale, texts * scale);
        let mut meter = self.meter(Phase::Training, chunks);
        if !one {
            meter.report(0, 0, hooks);
        }
        for (at, chunk) in chunks.iter().enumerate() {
            let last = at + 1 == chunks.len();
            if !one && self.drops(last, hooks)? {
                return Ok(None);
            }
            let (u, v) = if one {
                (features.0.shallow_clone(), features.1.shallow_clone())
            } else {
                clock = Instant::now();
                let again = self.encode(batch, chunk);
                forward += lap(&mut clock);
                again
            };
            self.prepare_for_backward(last)?;
            let of = |all: &Tensor| all.narrow(0, chunk.first, chunk.rows);
            backward(&[u, v], &[of(&images), of(&texts)]).map_err(|e| self.wrap_error(e))?;
            if !one {
                meter.chunk(chunk.rows, hooks);
            }
        }
        Ok(Some(Passed { loss, forward }))
    }

    /// A loss of each pair for itself: chunks only add up.
    fn generative_step(
        &self,
        batch: &Batch,
        chunks: &[Chunk],
        hooks: &mut dyn Hooks,
    ) -> Result<Option<Passed>> {
        let (mut losses, mut forward) = (Vec::new(), 0.0);
        let mut meter = self.meter(Phase::Training, chunks);
        if chunks.len() > 1 {
            meter.report(0, 0, hooks);
        }
        for (at, chunk) in chunks.iter().enumerate() {
            let last = at + 1 == chunks.len();
            if chunks.len() > 1 && self.drops(last, hooks)? {
                return Ok(None);
            }
            let clock = Instant::now();
            let (images, tokens) = self.input(batch, chunk);
            let loss = autocast(self.precision, self.model.device(), || {
                let (objective, patches) = (self.recipe.objective, self.patches(batch, chunk));
                crate::text_objectives::loss(self.model, objective, &images, &tokens, patches)
            });
            let loss = loss * (chunk.rows as f64 / batch.len as f64);
            losses.push(loss.detach());
            forward += clock.elapsed().as_secs_f64();
            self.prepare_for_backward(last)?;
            let scale = Tensor::full([], self.loss_scale, (Kind::Float, loss.device()));
            backward(&[loss], &[scale]).map_err(|e| self.wrap_error(e))?;
            if chunks.len() > 1 {
                meter.chunk(chunk.rows, hooks);
            }
        }
        Ok(Some(Passed { loss: sum(&losses), forward }))
    }

    fn meter(&self, phase: Phase, chunks: &[Chunk]) -> Meter {
        Meter::start(self.step, phase, chunks.len(), self.world.size())
    }

    /// Before a chunk of several: whether the step is dropped, for a process was asked to stop.
    /// Each process agrees with the others once in a pass, before what needs all of them: at
    /// its last chunk, or as soon as it knows.
    fn drops(&self, last: bool, hooks: &mut dyn Hooks) -> Result<bool> {
        let asked = self.world.asked(hooks.interrupted());
        Ok((asked || last) && self.world.any(asked)?)
    }

    fn chunks(&self, batch: &Batch) -> Vec<Chunk> {
        let rows = self.chunk.clamp(1, batch.len);
        let starts = (0..batch.len).step_by(rows);
        starts
            .map(|first| Chunk { first: first as i64, rows: rows.min(batch.len - first) as i64 })
            .collect()
    }

    /// Before the step's last backward pass: that one is averaged over the processes.
    fn prepare_for_backward(&self, last: bool) -> Result<()> {
        match self.reducer {
            Some(reducer) if last => reducer.prepare_for_backward().map_err(|e| self.wrap_error(e)),
            _ => Ok(()),
        }
    }

    /// A failure of a backward pass may be another process's.
    fn wrap_error(&self, error: clip_torch::Error) -> Error {
        if self.reducer.is_some() { self.world.diagnose_peer_failure(error) } else { error.into() }
    }

    fn input(&self, batch: &Batch, chunk: &Chunk) -> (Tensor, Tensor) {
        let images = self.model.pixels(&batch.images.narrow(0, chunk.first, chunk.rows));
        // Convolutions in 16 bits are a third faster with channels last in memory, as the loader
        // gives them; in 32 bits there is no such rule.
        let images = if self.precision == Precision::F32 { images.contiguous() } else { images };
        (images, batch.tokens.narrow(0, chunk.first, chunk.rows))
    }

    /// The patches that a chunk's images go without: drawn for each sample of the step's whole
    /// batch, so that the same are dropped on any number of processes, in chunks of any size,
    /// and when a pass is repeated.
    fn patches(&self, batch: &Batch, chunk: &Chunk) -> Option<PatchDropout> {
        let share = self.recipe.patch_dropout;
        let seed = mix(self.seed ^ 0xd20b, self.step, 0);
        let first = (self.world.rank() * batch.len) as u64 + chunk.first as u64;
        (share > 0.0).then_some(PatchDropout { share, seed, first })
    }

    /// Features of a chunk, in 32 bits.
    fn encode(&self, batch: &Batch, chunk: &Chunk) -> (Tensor, Tensor) {
        let (images, tokens) = self.input(batch, chunk);
        let model = &self.model;
        let (images, texts) = autocast(self.precision, model.device(), || {
            let images = model.encode_image_dropping(&images, self.patches(batch, chunk));
            (images, model.encode_text(&tokens))
        });
        // The loss is outside autocast: logits in 16 bits would round away what the last epochs
        // learn from.
        (images.to_kind(Kind::Float), texts.to_kind(Kind::Float))
    }
}

/// Averages the loss and the gradients of `scalars`, the parameters that belong to the loss itself,
/// and asks whether any process wants to stop: one message for all.
pub(crate) fn agree(
    world: &ProcessGroup,
    scalars: &[Tensor],
    loss: f64,
    stop: bool,
) -> Result<(f64, bool)> {
    let processes = world.size() as f64;
    if world.size() == 1 {
        return Ok((loss, stop));
    }
    let grads: Vec<Tensor> = scalars.iter().map(Tensor::grad).collect();
    let mut values = vec![loss, f64::from(u8::from(stop))];
    let value = |grad: &Tensor| if grad.defined() { grad.double_value(&[]) } else { 0.0 };
    values.extend(grads.iter().map(value));
    let sums = world.all_reduce_sum(&values)?;
    for (grad, sum) in grads.iter().zip(&sums[2..]).filter(|(grad, _)| grad.defined()) {
        let _ = no_grad(|| grad.shallow_clone().fill_(sum / processes));
    }
    Ok((sums[0] / processes, sums[1] > 0.0))
}
