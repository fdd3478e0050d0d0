//! Which pairs a step sees: a function of seed and step alone.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use clip_random::{Draw, mix, unit_f32};

use crate::epochs::{holder, passes};
use crate::{Corpus, Epochs, Error, Result, SampleRef};

/// The order of a whole run.
///
/// Passes over the corpus follow each other in one stream, which is cut into batches: every pair
/// comes exactly once in a pass (or as often as its weight says), on one rank, and none is left out
/// at a pass's end. An epoch is a pass, or a budget of samples of the stream.
///
/// A batch avoids having the same text twice, for each copy would count as a wrong answer of the
/// other: a pair whose text is in the batch already waits for a later batch of its pass. What still
/// waits when its pass ends is placed all the same, and so is what a batch has no other pair for; a
/// batch that ends one pass and begins the next may hold a text of both.
#[derive(Clone)]
pub struct EpochSampler {
    corpus: Arc<Corpus>,
    seed: u64,
    batch: usize,
    /// Where each pass begins in the stream, and where the last ends.
    passes: Arc<Vec<u64>>,
    epochs: Epochs,
    distinct: bool,
}

impl EpochSampler {
    /// `batch` is the whole batch, over all ranks; an epoch is a pass.
    ///
    /// # Errors
    /// When a pass has not one batch of pairs.
    pub fn new(corpus: &Arc<Corpus>, seed: u64, batch: usize, epochs: u64) -> Result<Self> {
        Self::with_samples(corpus, seed, batch, epochs, None)
    }

    /// As [`EpochSampler::new`], with epochs of `samples` samples, whatever the corpus has.
    pub fn with_samples(
        corpus: &Arc<Corpus>,
        seed: u64,
        batch: usize,
        epochs: u64,
        samples: Option<u64>,
    ) -> Result<Self> {
        if corpus.weighted() && (0..corpus.len()).all(|pair| corpus.weight(pair) <= 0.0) {
            return Err(Error::Options(
                "the weights of all pairs are 0: nothing to train on".into(),
            ));
        }
        let size = |pass| -> u64 {
            if !corpus.weighted() {
                return corpus.len() as u64;
            }
            (0..corpus.len()).map(|pair| uses(corpus, seed, pass, pair) as u64).sum()
        };
        let passes = passes(batch, epochs, samples, size)?;
        // With fewer texts than that, waiting would only shuffle who collides.
        let distinct = corpus.distinct_texts(2 * batch) >= 2 * batch;
        let epochs = Epochs::new(batch, epochs, samples, &passes);
        let passes = Arc::new(passes);
        Ok(Self { corpus: Arc::clone(corpus), seed, batch, passes, epochs, distinct })
    }

    /// Where epochs begin.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// The pairs.
    pub(crate) fn corpus(&self) -> &Arc<Corpus> {
        &self.corpus
    }

    /// Whether batches avoid equal texts: the corpus has enough different ones.
    pub fn has_distinct_texts(&self) -> bool {
        self.distinct
    }

    /// The batches from step `first` on.
    pub fn batches(&self, first: u64) -> Batches {
        let at = first * self.batch as u64;
        let pass = holder(&self.passes, at);
        let left = self.epochs.steps().saturating_sub(first);
        let mut batches = Batches {
            sampler: self.clone(),
            pass,
            items: Vec::new(),
            next: 0,
            later: VecDeque::new(),
            left,
        };
        batches.open(pass);
        // What comes before in this pass decides who waits; it is cheap to go through again.
        let start = self.passes[pass as usize];
        let mut skip = at - start;
        let mut room = (self.batch as u64 - start % self.batch as u64) % self.batch as u64;
        while skip > 0 {
            let take = if room == 0 { self.batch as u64 } else { room };
            batches.place(take.min(skip) as usize, &mut Vec::new());
            skip -= take.min(skip);
            room = 0;
        }
        batches
    }
}

/// How often a pair comes in a pass.
fn uses(corpus: &Corpus, seed: u64, pass: u64, pair: usize) -> usize {
    let weight = corpus.weight(pair);
    let share = unit_f32(mix(seed ^ 0xba1a, pass, pair as u64));
    weight as usize + usize::from(share < weight.fract())
}

/// An iterator over the batches of an [`EpochSampler`].
pub struct Batches {
    sampler: EpochSampler,
    pass: u64,
    /// Pairs of the pass in their order.
    items: Vec<u32>,
    next: usize,
    /// Slots that wait because their text was in the batch already.
    later: VecDeque<u32>,
    /// Batches to come.
    left: u64,
}

impl Batches {
    fn open(&mut self, pass: u64) {
        let (corpus, seed) = (&self.sampler.corpus, self.sampler.seed);
        self.items.clear();
        for pair in 0..corpus.len() {
            let count = if corpus.weighted() { uses(corpus, seed, pass, pair) } else { 1 };
            self.items.extend(std::iter::repeat_n(pair as u32, count));
        }
        Draw::new("order", seed, pass, 0).shuffle(&mut self.items);
        (self.pass, self.next) = (pass, 0);
        self.later.clear();
    }

    fn at(&self, slot: u32) -> SampleRef {
        let (pair, pass) = (self.items[slot as usize], self.pass);
        let bits = mix(self.sampler.seed ^ 0xca97, pass, u64::from(slot));
        let caption = self.sampler.corpus.drawn_caption(pair as usize, bits);
        SampleRef { pair, caption: caption as u32, pass: pass as u32, slot }
    }

    /// Up to `room` uses of the pass, for one batch.
    fn place(&mut self, room: usize, out: &mut Vec<SampleRef>) {
        let (mut seen, mut wait) = (HashSet::new(), VecDeque::new());
        let end = out.len() + room;
        while out.len() < end {
            let slot = self.later.pop_front().or_else(|| {
                let slot = self.next;
                self.next += 1;
                (slot < self.items.len()).then_some(slot as u32)
            });
            let Some(slot) = slot else { break };
            let candidate = self.at(slot);
            let corpus = &self.sampler.corpus;
            let text = || corpus.text(candidate.pair as usize, candidate.caption as usize).to_vec();
            // This many waiting means texts that repeat too often to be kept apart.
            if !self.sampler.distinct || wait.len() >= 8 * room || seen.insert(text()) {
                out.push(candidate);
            } else {
                wait.push_back(slot);
            }
        }
        while out.len() < end {
            let Some(slot) = wait.pop_front() else { break };
            let waited = self.at(slot);
            out.push(waited);
        }
        wait.append(&mut self.later);
        self.later = wait;
    }
}

impl Iterator for Batches {
    type Item = Vec<SampleRef>;

    fn next(&mut self) -> Option<Vec<SampleRef>> {
        self.left = self.left.checked_sub(1)?;
        let batch = self.sampler.batch;
        let mut out = Vec::with_capacity(batch);
        loop {
            self.place(batch - out.len(), &mut out);
            if out.len() == batch {
                return Some(out);
            }
            if self.pass as usize + 2 >= self.sampler.passes.len() {
                return None;
            }
            self.open(self.pass + 1);
        }
    }
}

/// How often some pairs were trained on, as a run proceeds.
pub struct UseCounter {
    batches: Batches,
    step: u64,
    uses: HashMap<u32, u64>,
}

impl UseCounter {
    /// Of these pairs, in a run of this order.
    pub fn new(sampler: &EpochSampler, pairs: impl IntoIterator<Item = u32>) -> Self {
        let uses = pairs.into_iter().map(|pair| (pair, 0)).collect();
        Self { batches: sampler.batches(0), step: 0, uses }
    }

    /// Their uses in the steps before `step`, which is no less than at the last call.
    pub fn before(&mut self, step: u64) -> &HashMap<u32, u64> {
        let corpus = Arc::clone(&self.batches.sampler.corpus);
        for batch in self.batches.by_ref().take(step.saturating_sub(self.step) as usize) {
            for used in batch {
                let pair = corpus.stand_in(used.pair);
                if let Some(uses) = self.uses.get_mut(&pair) {
                    *uses += 1;
                }
            }
        }
        self.step = self.step.max(step);
        &self.uses
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{corpus, weighted};

    fn counts(uses: &[SampleRef], pairs: usize) -> Vec<usize> {
        let mut counts = vec![0; pairs];
        uses.iter().for_each(|u| counts[u.pair as usize] += 1);
        counts
    }

    /// A run resumes with the order that it has begun with, also by a later version.
    #[test]
    fn the_order_of_a_seed_stays() {
        let corpus = Arc::new(Corpus::synthetic(1000, 16, 8));
        let mut hasher = blake3::Hasher::new();
        for used in EpochSampler::new(&corpus, 3, 32, 2).unwrap().batches(0).flatten() {
            for number in [used.pair, used.caption, used.pass, used.slot] {
                hasher.update(&u64::from(number).to_le_bytes());
            }
        }
        assert_eq!(&hasher.finalize().to_hex()[..16], "b12c21606d961420");
    }

    #[test]
    fn an_epoch_has_every_pair_once_and_a_batch_no_text_twice() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), 43);
        let plan = EpochSampler::new(&corpus, 3, 4, 4).unwrap();
        assert_eq!(plan.epochs().steps(), 43);
        let batches: Vec<_> = plan.batches(0).collect();
        let stream = batches.concat();
        assert_eq!(stream.len(), 4 * 43);
        for epoch in stream.chunks(43) {
            assert_eq!(counts(epoch, 43), [1; 43]);
        }
        assert_ne!(stream[..43], stream[43..86]);
        // Every fourth pair has the same text, so some batch at an epoch's end may have it twice.
        let doubled = batches.iter().filter(|b| b.iter().filter(|u| u.pair % 4 == 0).count() > 1);
        assert!(doubled.count() <= 4 * 3);
        assert_eq!(
            (plan.epochs.epoch(10), plan.epochs.epoch(11), plan.epochs.first_step(1)),
            (0, 1, 11)
        );
    }

    #[test]
    fn any_step_can_be_begun_with() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), 43);
        let plan = EpochSampler::new(&corpus, 3, 8, 5).unwrap();
        let all: Vec<_> = plan.batches(0).collect();
        for first in 0..plan.epochs().steps() {
            assert_eq!(plan.batches(first).collect::<Vec<_>>(), all[first as usize..], "{first}");
        }
    }

    #[test]
    fn uses_are_counted_step_by_step() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = weighted(folder.path(), 40, |i| if i == 7 { 3.0 } else { 1.0 });
        let sampler = EpochSampler::new(&corpus, 1, 8, 4).unwrap();
        let mut counter = UseCounter::new(&sampler, [7, 9]);
        for step in [0, 2, 2, 5, sampler.epochs().steps()] {
            let all = sampler.batches(0).take(step as usize).flatten();
            let all = counts(&all.collect::<Vec<_>>(), 40);
            let uses = counter.before(step);
            assert_eq!((uses[&7], uses[&9], uses.len()), (all[7] as u64, all[9] as u64, 2));
        }
    }

    #[test]
    fn weights_say_how_often() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = weighted(folder.path(), 400, |i| if i < 100 { 2.5 } else { 0.25 });
        let plan = EpochSampler::new(&corpus, 1, 16, 20).unwrap();
        let all = counts(&plan.batches(0).collect::<Vec<_>>().concat(), 400);
        let often = all[..100].iter().sum::<usize>() as f64 / 100.0 / 20.0;
        let seldom = all[100..].iter().sum::<usize>() as f64 / 300.0 / 20.0;
        assert!((often - 2.5).abs() < 0.1 && (seldom - 0.25).abs() < 0.05, "{often} {seldom}");
    }

    #[test]
    fn a_batch_larger_than_the_run_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), 8);
        // Two epochs of 8 are 16 pairs, but a batch of 16 would hold each of them twice.
        for (batch, epochs) in [(64, 2), (16, 2), (9, 100)] {
            let message = EpochSampler::new(&corpus, 0, batch, epochs).err().unwrap().to_string();
            let numbers = format!("a batch of {batch} pairs, over all processes, is more than");
            assert!(message.contains(&numbers) && message.contains("has: 8"), "{message}");
        }
        let message =
            EpochSampler::with_samples(&corpus, 0, 8, 1, Some(7)).err().unwrap().to_string();
        assert!(message.contains("--train-num-samples 7"), "{message}");
    }

    #[test]
    fn a_budget_of_samples_is_an_epoch_whatever_the_corpus_has() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), 43);
        let passes: Vec<_> = EpochSampler::new(&corpus, 3, 8, 5).unwrap().batches(0).collect();
        // Less than a pass, a pass and a half, and several.
        for (samples, epochs) in [(16, 3), (64, 2), (130, 1)] {
            let plan = EpochSampler::with_samples(&corpus, 3, 8, epochs, Some(samples)).unwrap();
            let all: Vec<_> = plan.batches(0).collect();
            assert_eq!(all.len() as u64, samples * epochs / 8);
            // The stream is the same; only where its epochs end differs.
            assert_eq!(all, passes[..all.len()]);
            for epoch in 0..=epochs {
                assert_eq!(
                    plan.epochs().first_step(epoch),
                    (epoch * samples).div_ceil(8).min(plan.epochs().steps())
                );
            }
            let first = plan.epochs().steps() / 2;
            assert_eq!(plan.batches(first).collect::<Vec<_>>(), all[first as usize..]);
        }
    }
}
