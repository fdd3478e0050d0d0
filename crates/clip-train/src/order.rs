//! Which pairs a step sees: a function of seed and step alone.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::draw::{Draw, mix, scale};
use crate::{Corpus, Error, Result};

/// One use of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// The pair.
    pub pair: u32,
    /// Its caption.
    pub caption: u32,
    /// The epoch.
    pub epoch: u32,
    /// Number of the use within its epoch: what its random transform is drawn from.
    pub slot: u32,
}

/// The order of a whole run.
///
/// The epochs follow each other in one stream, which is cut into batches: every pair comes exactly once in an
/// epoch (or as often as its weight says), on one rank, and none is left out at an epoch's end. A batch avoids
/// having the same text twice, for each copy would count as a wrong answer of the other: such a pair waits for
/// a later batch of its epoch.
#[derive(Clone)]
pub struct Plan {
    corpus: Arc<Corpus>,
    seed: u64,
    batch: usize,
    /// Where each epoch begins in the stream, and where the last ends.
    starts: Arc<Vec<u64>>,
    distinct: bool,
}

impl Plan {
    /// `batch` is the whole batch, over all ranks.
    ///
    /// # Errors
    /// When the corpus has not one batch of pairs in all epochs together.
    pub fn new(corpus: &Arc<Corpus>, seed: u64, batch: usize, epochs: u64) -> Result<Self> {
        let mut starts = vec![0];
        for epoch in 0..epochs {
            let uses = (0..corpus.len()).map(|pair| uses(corpus, seed, epoch, pair) as u64);
            let size = if corpus.weighted() { uses.sum() } else { corpus.len() as u64 };
            starts.push(starts[epoch as usize] + size);
        }
        let all = starts[epochs as usize];
        if batch == 0 || all < batch as u64 {
            return Err(Error::Recipe(format!(
                "a batch of {batch} is more than all {epochs} epochs have: {all} pairs\n\
                 hint: lower --batch-size"
            )));
        }
        // With fewer texts than that, waiting would only shuffle who collides.
        let distinct = corpus.distinct_texts(2 * batch) >= 2 * batch;
        Ok(Self { corpus: Arc::clone(corpus), seed, batch, starts: Arc::new(starts), distinct })
    }

    /// Steps of the run.
    pub fn steps(&self) -> u64 {
        self.starts[self.starts.len() - 1] / self.batch as u64
    }

    /// The epoch that step `step` begins in.
    pub fn epoch(&self, step: u64) -> u64 {
        let at = step * self.batch as u64;
        (self.starts.partition_point(|&start| start <= at) as u64 - 1).min(self.epochs() - 1)
    }

    /// Number of epochs.
    pub fn epochs(&self) -> u64 {
        self.starts.len() as u64 - 1
    }

    /// The first step that begins in that epoch or later.
    pub fn first_step(&self, epoch: u64) -> u64 {
        self.starts[epoch as usize].div_ceil(self.batch as u64).min(self.steps())
    }

    /// Pairs in a whole batch.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Whether batches avoid equal texts: the corpus has enough different ones.
    pub fn has_distinct_texts(&self) -> bool {
        self.distinct
    }

    /// The batches from step `first` on.
    pub fn batches(&self, first: u64) -> Batches {
        let at = first * self.batch as u64;
        let epoch = self.epoch(first);
        let mut batches = Batches {
            plan: self.clone(),
            epoch,
            items: Vec::new(),
            next: 0,
            later: VecDeque::new(),
        };
        batches.open(epoch);
        // What comes before in this epoch decides who waits; it is cheap to go through again.
        let mut skip = at - self.starts[epoch as usize];
        let mut room = (self.batch as u64 - self.starts[epoch as usize] % self.batch as u64)
            % self.batch as u64;
        while skip > 0 {
            let take = if room == 0 { self.batch as u64 } else { room };
            batches.place(take.min(skip) as usize, &mut Vec::new());
            skip -= take.min(skip);
            room = 0;
        }
        batches
    }
}

/// How often a pair comes in an epoch.
fn uses(corpus: &Corpus, seed: u64, epoch: u64, pair: usize) -> usize {
    let weight = corpus.weight(pair);
    let share = (mix(seed ^ 0xba1a, epoch, pair as u64) >> 40) as f32 / (1u64 << 24) as f32;
    weight as usize + usize::from(share < weight.fract())
}

/// An iterator over the batches of a [`Plan`].
pub struct Batches {
    plan: Plan,
    epoch: u64,
    /// Pairs of the epoch in their order.
    items: Vec<u32>,
    next: usize,
    /// Slots that wait because their text was in the batch already.
    later: VecDeque<u32>,
}

impl Batches {
    fn open(&mut self, epoch: u64) {
        let (corpus, seed) = (&self.plan.corpus, self.plan.seed);
        self.items.clear();
        for pair in 0..corpus.len() {
            let count = if corpus.weighted() { uses(corpus, seed, epoch, pair) } else { 1 };
            self.items.extend(std::iter::repeat_n(pair as u32, count));
        }
        let mut draw = Draw::new("order", seed, epoch, 0);
        for at in (1..self.items.len()).rev() {
            self.items.swap(at, draw.below(at + 1));
        }
        (self.epoch, self.next) = (epoch, 0);
        self.later.clear();
    }

    fn at(&self, slot: u32) -> Use {
        let (pair, epoch) = (self.items[slot as usize], self.epoch);
        let count = self.plan.corpus.caption_count(pair as usize);
        let bits = mix(self.plan.seed ^ 0xca97, epoch, u64::from(slot));
        Use { pair, caption: scale(bits, count) as u32, epoch: epoch as u32, slot }
    }

    /// Up to `room` uses of the epoch, for one batch.
    fn place(&mut self, room: usize, out: &mut Vec<Use>) {
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
            let corpus = &self.plan.corpus;
            let text = || corpus.text(candidate.pair as usize, candidate.caption as usize).to_vec();
            // So many waiting means texts that repeat too often to be kept apart.
            if !self.plan.distinct || wait.len() >= 8 * room || seen.insert(text()) {
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
    type Item = Vec<Use>;

    fn next(&mut self) -> Option<Vec<Use>> {
        let batch = self.plan.batch;
        let mut out = Vec::with_capacity(batch);
        loop {
            self.place(batch - out.len(), &mut out);
            if out.len() == batch {
                return Some(out);
            }
            if self.epoch + 1 >= self.plan.epochs() {
                return None;
            }
            self.open(self.epoch + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{corpus, weighted};

    fn counts(uses: &[Use], pairs: usize) -> Vec<usize> {
        let mut counts = vec![0; pairs];
        uses.iter().for_each(|u| counts[u.pair as usize] += 1);
        counts
    }

    #[test]
    fn an_epoch_has_every_pair_once_and_a_batch_no_text_twice() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), 43);
        let plan = Plan::new(&corpus, 3, 4, 4).unwrap();
        assert_eq!(plan.steps(), 43);
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
        assert_eq!((plan.epoch(10), plan.epoch(11), plan.first_step(1)), (0, 1, 11));
    }

    #[test]
    fn any_step_can_be_begun_with() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), 43);
        let plan = Plan::new(&corpus, 3, 8, 5).unwrap();
        let all: Vec<_> = plan.batches(0).collect();
        for first in 0..plan.steps() {
            assert_eq!(plan.batches(first).collect::<Vec<_>>(), all[first as usize..], "{first}");
        }
    }

    #[test]
    fn weights_say_how_often() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = weighted(folder.path(), 400, |i| if i < 100 { 2.5 } else { 0.25 });
        let plan = Plan::new(&corpus, 1, 16, 20).unwrap();
        let all = counts(&plan.batches(0).collect::<Vec<_>>().concat(), 400);
        let often = all[..100].iter().sum::<usize>() as f64 / 100.0 / 20.0;
        let seldom = all[100..].iter().sum::<usize>() as f64 / 300.0 / 20.0;
        assert!((often - 2.5).abs() < 0.1 && (seldom - 0.25).abs() < 0.05, "{often} {seldom}");
    }

    #[test]
    fn a_batch_larger_than_the_run_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), 8);
        let message = Plan::new(&corpus, 0, 64, 2).err().unwrap().to_string();
        assert!(message.contains("--batch-size"), "{message}");
    }
}
