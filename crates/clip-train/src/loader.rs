//! Batches from threads, in an order that depends on the seed alone.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::draw::Draw;
use crate::{Augment, Corpus, Error, Result};

/// What batches look like.
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    /// Pairs in a batch.
    pub batch: usize,
    /// Side of the pictures, in pixels.
    pub size: u32,
    /// What happens to pictures.
    pub augment: Augment,
    /// Seed of order, captions and augmentation.
    pub seed: u64,
    /// Decoding threads.
    pub threads: usize,
}

/// One batch in memory.
#[derive(Debug, PartialEq)]
pub struct Batch {
    /// Number of the step, from 0 over all epochs.
    pub step: u64,
    /// Pixels, [batch, size, size, 3].
    pub images: Vec<u8>,
    /// Token ids, [batch, length], zero padded to the longest of the batch.
    pub tokens: Vec<i64>,
    /// Pairs.
    pub len: usize,
}

/// The batches of an epoch: pairs and the caption chosen for each.
///
/// The order is that of blake3(seed, epoch, key). No batch has the same text twice, for each copy would count
/// as a wrong answer of the other; a pair that would collide waits for the next batch. The incomplete rest of
/// an epoch is left out, others in each epoch.
pub fn epoch_batches(
    corpus: &Corpus,
    options: &LoaderOptions,
    epoch: u64,
) -> Vec<Vec<(usize, usize)>> {
    let pairs = corpus.pairs();
    let mut order: Vec<(u64, usize, usize)> = (0..pairs.len())
        .map(|index| {
            let mut draw = Draw::new("order", options.seed, epoch, &pairs[index].key);
            (draw.bits(), index, draw.below(pairs[index].captions.len()))
        })
        .collect();
    order.sort_unstable();
    let mut waiting: Vec<(usize, usize)> =
        order.into_iter().rev().map(|(_, i, c)| (i, c)).collect();
    let mut batches = Vec::new();
    while waiting.len() >= options.batch {
        let (mut batch, mut later, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        while batch.len() < options.batch {
            let Some((pair, caption)) = waiting.pop() else { break };
            if seen.insert(pairs[pair].tokens[caption].as_slice()) {
                batch.push((pair, caption));
            } else {
                later.push((pair, caption));
            }
        }
        waiting.extend(later.into_iter().rev());
        if batch.len() < options.batch {
            break;
        }
        batches.push(batch);
    }
    batches
}

/// Decodes ahead of the training in its own threads.
pub struct Loader {
    channels: Vec<Receiver<Result<Batch>>>,
    threads: Vec<JoinHandle<()>>,
    next: u64,
}

impl Loader {
    /// Batches in an epoch: as many as fit, whatever collisions an epoch has.
    pub fn steps_per_epoch(corpus: &Corpus, options: &LoaderOptions) -> u64 {
        (corpus.pairs().len() / options.batch) as u64
    }

    /// Starts the threads at step `first`.
    pub fn start(corpus: &Arc<Corpus>, options: &LoaderOptions, first: u64) -> Result<Self> {
        let distinct: HashSet<&[i64]> =
            corpus.pairs().iter().flat_map(|pair| pair.tokens.iter().map(Vec::as_slice)).collect();
        if options.batch == 0
            || distinct.len() < options.batch
            || corpus.pairs().len() < options.batch
        {
            return Err(Error::Recipe(format!(
                "a batch of {} needs as many different captions; the corpus has {} pairs with {} captions\n\
                 hint: lower --batch-size",
                options.batch,
                corpus.pairs().len(),
                distinct.len()
            )));
        }
        let count = options.threads.max(1) as u64;
        let (mut channels, mut threads) = (Vec::new(), Vec::new());
        for lane in 0..count {
            let (sender, receiver) = bounded(2);
            let (corpus, options) = (Arc::clone(corpus), options.clone());
            // The steps of a lane are those with its remainder, so the consumer knows whom to ask.
            let start = first + (lane + count - first % count) % count;
            threads.push(std::thread::spawn(move || {
                lane_loop(&corpus, &options, start, count, &sender);
            }));
            channels.push(receiver);
        }
        Ok(Self { channels, threads, next: first })
    }

    /// The next batch, after waiting for it if need be.
    pub fn next_batch(&mut self) -> Result<Batch> {
        let lane = (self.next % self.channels.len() as u64) as usize;
        self.next += 1;
        let gone = || Error::Recipe("a loader thread ended early".into());
        self.channels[lane].recv().map_err(|_| gone())?
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.channels.clear();
        for thread in self.threads.drain(..) {
            // A panic there was seen by the consumer as a closed channel.
            let _ = thread.join();
        }
    }
}

fn lane_loop(
    corpus: &Corpus,
    options: &LoaderOptions,
    first: u64,
    stride: u64,
    out: &Sender<Result<Batch>>,
) {
    let per_epoch = Loader::steps_per_epoch(corpus, options);
    let mut epoch = u64::MAX;
    let mut batches = Vec::new();
    for step in (first..).step_by(stride as usize) {
        if step / per_epoch != epoch {
            epoch = step / per_epoch;
            batches = epoch_batches(corpus, options, epoch);
        }
        // Collisions may leave an epoch a batch short: its first batches come again in its last place.
        let at = (step % per_epoch) as usize % batches.len().max(1);
        let batch = match batches.get(at) {
            Some(pairs) => fill(corpus, options, epoch, step, pairs),
            None => Err(Error::Recipe(
                "too many pairs share a caption\nhint: lower --batch-size".into(),
            )),
        };
        let failed = batch.is_err();
        if out.send(batch).is_err() || failed {
            return;
        }
    }
}

fn fill(
    corpus: &Corpus,
    options: &LoaderOptions,
    epoch: u64,
    step: u64,
    pairs: &[(usize, usize)],
) -> Result<Batch> {
    let mut images = Vec::with_capacity(pairs.len() * (options.size * options.size * 3) as usize);
    let texts: Vec<&[i64]> =
        pairs.iter().map(|&(p, c)| corpus.pairs()[p].tokens[c].as_slice()).collect();
    let length = texts.iter().map(|text| text.len()).max().unwrap_or(0);
    let mut tokens = Vec::with_capacity(length * pairs.len());
    for (&(pair, _), text) in pairs.iter().zip(texts) {
        let mut draw = Draw::new("augment", options.seed, epoch, &corpus.pairs()[pair].key);
        let image = corpus.image(pair)?;
        images.extend(options.augment.apply(&image, options.size, &mut draw).data);
        tokens.extend_from_slice(text);
        tokens.resize(tokens.len() + length - text.len(), 0);
    }
    Ok(Batch { step, images, tokens, len: pairs.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_corpus::{Sample, ShardWriter};
    use clip_image::{Rgb, encode_png};

    fn corpus(folder: &std::path::Path, count: usize) -> Arc<Corpus> {
        let mut shard = ShardWriter::create(&folder.join("00000.tar")).unwrap();
        for i in 0..count {
            let png = encode_png(&Rgb::filled(20, 16, [i as u8, 0, 0])).unwrap();
            // Every fourth has a text that another has too.
            let text = format!("a thing number {}", if i % 4 == 0 { 0 } else { i });
            let fields = vec![("png".to_owned(), png), ("txt".to_owned(), text.into_bytes())];
            shard.write(&Sample { key: format!("{i:05}"), fields }).unwrap();
        }
        shard.finish().unwrap();
        let spec = folder.display().to_string();
        Arc::new(Corpus::open(&spec, 12, 16, 1 << 20).unwrap().0)
    }

    fn options(batch: usize, threads: usize) -> LoaderOptions {
        LoaderOptions { batch, size: 8, augment: Augment::Small(1.0), seed: 3, threads }
    }

    #[test]
    fn no_pair_comes_twice_and_no_text_twice_in_a_batch() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), 40);
        let batches = epoch_batches(&corpus, &options(4, 1), 0);
        // The texts may leave it a batch short.
        assert!(batches.len() >= 9);
        let mut all: Vec<usize> = batches.iter().flatten().map(|&(pair, _)| pair).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4 * batches.len());
        for batch in &batches {
            let shared = batch.iter().filter(|(pair, _)| pair % 4 == 0).count();
            assert!(shared <= 1);
        }
        assert_ne!(batches, epoch_batches(&corpus, &options(4, 1), 1));
    }

    #[test]
    fn threads_and_resuming_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), 40);
        let take = |threads, first| {
            let mut loader = Loader::start(&corpus, &options(4, threads), first).unwrap();
            (first..24).map(|_| loader.next_batch().unwrap()).collect::<Vec<_>>()
        };
        let whole = take(1, 0);
        assert_eq!(whole.iter().map(|b| b.step).collect::<Vec<_>>(), (0..24).collect::<Vec<_>>());
        assert_eq!(take(3, 0), whole);
        assert_eq!(take(2, 13), whole[13..]);
    }

    #[test]
    fn a_batch_larger_than_the_corpus_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), 8);
        let message = Loader::start(&corpus, &options(64, 1), 0).err().unwrap().to_string();
        assert!(message.contains("--batch-size"), "{message}");
    }
}
