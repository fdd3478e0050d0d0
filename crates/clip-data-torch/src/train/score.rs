//! Scores of a model while it trains: held-out pairs, and zero-shot classification, spread over the
//! processes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clip_datasets::{EvalItem, EvalSet, OpenOptions};
use clip_eval::{Classifier, Names, pixels, prepare_image};
use clip_loader::{Corpus, Sampler, TrainData};
use clip_model::{Clip, ModelConfig};
use clip_text::Tokenizer;
use clip_torch::tch::{Device, Kind, Tensor, no_grad};
use clip_torch::{Precision, autocast, first_not_finite};
use clip_train::{ClassScorer, Due, Error, Objective, ProcessGroup, Result, evaluate};

use super::Args;
use super::overlap::Overlaps;

/// What decides an image's class.
enum Teller {
    /// The nearest text.
    Likeness(Classifier),
    /// The most likely text.
    Words(ClassScorer),
}

impl Teller {
    /// Scores [images, classes] of embedded images.
    fn scores(&self, model: &Clip, precision: Precision, features: &Tensor) -> Tensor {
        match self {
            Self::Likeness(classifier) => {
                let norm = features.norm_scalaropt_dim(2.0, [1i64], true).clamp_min(1e-12);
                // The classifier is on the processor.
                classifier.logits(&(features / norm).to_device(Device::Cpu))
            }
            Self::Words(scorer) => scorer.scores(model, precision, features),
        }
    }
}

/// What a set's scores are logged under: open_clip's names for ImageNet and ImageNetV2, else its
/// own.
fn log_name(set: &EvalSet) -> &str {
    let known = |id: &&str| ["imagenet", "imagenetv2"].contains(id);
    set.dataset.map(|dataset| dataset.id.as_str()).filter(known).unwrap_or(&set.name)
}

/// Images that are embedded at a time.
const BATCH: usize = 64;
/// Counts at the head of those of a set: items, and those with the right class first and among the
/// first five. After them are, for each item that the corpus holds, whether it was scored and
/// whether its class came first.
const COUNTS: usize = 3;

/// Counts of a model whose output is not finite: no score comes of them, whatever other processes
/// count.
fn not_finite(held: usize) -> Vec<f64> {
    let mut counts = vec![0.0; COUNTS + 2 * held];
    counts[..COUNTS].copy_from_slice(&[1.0, f64::NAN, f64::NAN]);
    counts
}

/// What a model is checked against.
pub struct Scorer {
    pairs: Option<Arc<Corpus>>,
    sets: Vec<EvalSet>,
    tokenizer: Tokenizer,
    objective: Objective,
    /// Pairs of a batch of the held-out ones.
    batch: usize,
    overlaps: Option<Overlaps>,
}

impl Scorer {
    /// Opens what the flags name, before anything is trained. `batch` is the batch of a process,
    /// which open_clip's loss of held-out pairs is over.
    pub fn open(
        args: &Args,
        config: &ModelConfig,
        objective: Objective,
        batch: usize,
    ) -> anyhow::Result<Self> {
        let pairs = args.val_data.as_deref().map(|spec| super::data::held_out(spec, args, config));
        // ImageNet by name, as in open_clip: its class names and OpenAI's templates, whatever the
        // folder is called.
        let named = [("imagenet", &args.imagenet_val), ("imagenetv2", &args.imagenet_v2)];
        let imagenets = named
            .into_iter()
            .filter_map(|(name, path)| Some(format!("{name}={}", path.as_ref()?.display())));
        let sets = imagenets.chain(args.zeroshot.iter().cloned());
        let sets = sets.map(|set| clip_datasets::open_named(&set, &OpenOptions::default()));
        Ok(Self {
            pairs: pairs.transpose()?,
            sets: sets.collect::<clip_datasets::Result<_>>()?,
            tokenizer: Tokenizer::new(),
            objective,
            batch,
            overlaps: None,
        })
    }

    /// Scores the items apart that a contamination report found in the corpus; `folder` is the
    /// run's, on the first process.
    pub fn split(
        &mut self,
        report: &Path,
        data: (&TrainData, &Sampler),
        folder: Option<PathBuf>,
    ) -> anyhow::Result<()> {
        let names: Vec<&str> = self.sets.iter().map(|set| set.name.as_str()).collect();
        self.overlaps = Some(Overlaps::open(report, &names, data, folder)?);
        Ok(())
    }

    /// What of the sets may not be what was meant.
    pub fn warnings(&self) -> Vec<String> {
        self.sets.iter().flat_map(crate::eval::inputs::warnings).collect()
    }

    /// The scores that are due, under open_clip's names; the same on every process.
    ///
    /// # Errors
    /// [`Error::Interrupted`], on every process, when `interrupted` says so on one.
    pub fn scores(
        &mut self,
        model: &Clip,
        precision: Precision,
        world: &ProcessGroup,
        due: Due,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Vec<(String, f64)>> {
        let mut scores = match &self.pairs {
            Some(pairs) if due.val => {
                evaluate(model, precision, pairs, world, self.batch, interrupted)?
            }
            _ => Vec::new(),
        };
        for set in self.sets.iter().filter(|_| due.zeroshot) {
            let wrong = |e: &dyn std::fmt::Display| Error::Recipe(format!("{}: {e}", set.name));
            // All processes have the same weights, so that all or none of them fail here.
            let stop = || world.asked(interrupted());
            let overlaps = self.overlaps.as_ref();
            let held = overlaps.map_or(0, |overlaps| overlaps.count(&set.name));
            let found = match self.scorer(model, precision, set, &stop) {
                Ok(scorer) => Self::count(model, precision, world, set, (&scorer, overlaps), &stop),
                Err(clip_eval::Error::Interrupted) => Ok(None),
                Err(clip_eval::Error::Output(clip_torch::Error::NotFinite { .. })) => {
                    Ok(Some(not_finite(held)))
                }
                Err(error) => Err(error.into()),
            };
            let found = found.map_err(|e| wrong(&e))?;
            if world.any(found.is_none())? {
                return Err(Error::Interrupted);
            }
            let sums = world.all_reduce_sum(&found.unwrap_or_default())?;
            let name = log_name(set);
            for (k, hits) in [(1, sums[1]), (5, sums[2])] {
                if k < set.classes.len() {
                    scores.push((format!("{name}-zeroshot-val-top{k}"), hits / sums[0].max(1.0)));
                }
            }
            if let Some(overlaps) = self.overlaps.as_mut().filter(|_| sums[1].is_finite()) {
                let items: Vec<(bool, bool)> =
                    sums[COUNTS..].chunks(2).map(|item| (item[0] > 0.0, item[1] > 0.0)).collect();
                let at = (due.epoch, due.step);
                let parts = overlaps.score(&set.name, at, (sums[0], sums[1]), &items);
                let parts = parts.map_err(|e| wrong(&e))?;
                for (part, value) in ["clean", "overlap"].iter().zip(parts) {
                    let named = |value| (format!("{name}-zeroshot-val-top1-{part}"), value);
                    scores.extend(value.map(named));
                }
            }
        }
        if let Some(overlaps) = self.overlaps.as_mut() {
            overlaps.end(due.epoch).map_err(|e| Error::Recipe(e.to_string()))?;
        }
        Ok(scores)
    }

    /// How the set's classes are distinguished by their prompts.
    fn scorer(
        &self,
        model: &Clip,
        precision: Precision,
        set: &EvalSet,
        stop: &dyn Fn() -> bool,
    ) -> clip_eval::Result<Teller> {
        if self.objective.compares_pairs() {
            // As open_clip does: text weights in float16 are read by autocast alone.
            let classifier = autocast(precision, model.device(), || {
                Classifier::new(model, &self.tokenizer, set, Names::Mean, stop)
            });
            return Ok(Teller::Likeness(classifier?));
        }
        let context = model.config().text_cfg.context_length as usize;
        let tokens = |class| {
            let prompts = set.all_prompts().of(class).concat();
            let ids = prompts.iter().flat_map(|text| self.tokenizer.tokenize(text, context));
            let ids: Vec<i64> = ids.collect();
            let all = Tensor::from_slice(&ids).view([prompts.len() as i64, context as i64]);
            let longest = all.ne(0).sum_dim_intlist([1i64].as_slice(), false, Kind::Int64).max();
            all.narrow(1, 0, longest.int64_value(&[])).to_device(model.device())
        };
        let classes = (0..set.classes.len()).map(tokens).collect();
        Ok(Teller::Words(no_grad(|| ClassScorer::words(model, self.objective, classes))))
    }

    /// Of this process's items the [`COUNTS`] and what follows them. None when `stop` says so.
    fn count(
        model: &Clip,
        precision: Precision,
        world: &ProcessGroup,
        set: &EvalSet,
        (scorer, overlaps): (&Teller, Option<&Overlaps>),
        stop: &dyn Fn() -> bool,
    ) -> anyhow::Result<Option<Vec<f64>>> {
        let (rank, size) = (world.rank(), world.size());
        let mut items = set.items().enumerate().filter(|(at, _)| at % size == rank);
        let held = overlaps.map_or(0, |overlaps| overlaps.count(&set.name));
        let mut sums = vec![0.0; COUNTS + 2 * held];
        loop {
            if stop() {
                return Ok(None);
            }
            let batch: Vec<EvalItem> = items
                .by_ref()
                .take(BATCH)
                .map(|(_, item)| item)
                .collect::<clip_datasets::Result<_>>()?;
            if batch.is_empty() {
                return Ok(Some(sums));
            }
            if let Some(overlaps) = overlaps {
                overlaps.check(&set.name, &batch)?;
            }
            let transform = model.transform();
            let image = |item: &EvalItem| {
                prepare_image(&item.image, &transform).map_err(anyhow::Error::msg)
            };
            let images = batch.iter().map(image).collect::<anyhow::Result<Vec<_>>>()?;
            let input = pixels(model, &images);
            let logits = no_grad(|| {
                let features = autocast(precision, model.device(), || model.encode_image(&input));
                scorer.scores(model, precision, &features.to_kind(Kind::Float))
            });
            if first_not_finite(&logits).is_some() {
                return Ok(Some(not_finite(held)));
            }
            let label = |item: &EvalItem| {
                item.truth.class().map(|class| class as i64).context("an item without a class")
            };
            let labels = batch.iter().map(label).collect::<anyhow::Result<Vec<i64>>>()?;
            let labels = Tensor::from_slice(&labels).to_device(logits.device()).unsqueeze(1);
            let right = logits.gather(1, &labels, false);
            // Of equal scores the lower class comes first, as in `clip_eval::rank_of`.
            let classes = Tensor::arange(logits.size()[1], (Kind::Int64, logits.device()));
            let ties = logits.eq_tensor(&right).logical_and(&classes.lt_tensor(&labels));
            let above = logits.gt_tensor(&right).logical_or(&ties);
            let above = above.sum_dim_intlist([1i64].as_slice(), false, Kind::Int64);
            let within = |k: i64| above.lt(k).sum(Kind::Int64).int64_value(&[]) as f64;
            sums[0] += batch.len() as f64;
            sums[1] += within(1);
            sums[2] += within(5);
            let ranks = Vec::<i64>::try_from(&above)?;
            for (item, rank) in batch.iter().zip(ranks) {
                let place = overlaps.and_then(|overlaps| overlaps.place(&set.name, &item.key));
                if let Some(place) = place {
                    sums[COUNTS + 2 * place] = 1.0;
                    sums[COUNTS + 2 * place + 1] = f64::from(u8::from(rank == 0));
                }
            }
        }
    }
}
