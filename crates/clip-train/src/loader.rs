//! Batches from threads: each thread fills a few rows of a batch that is due, in the memory it is
//! trained from.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clip_model::PreprocessCfg;
use clip_random::Draw;
use clip_torch::tch::{Device, Tensor};
use clip_torch::{host_bytes, write_bytes};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use crate::planned::Planned;
use crate::{Augment, Error, Result, Sampler};

/// Rows that a thread fills at a time.
const ROWS: usize = 16;
/// Bytes of images in memory: the batch in use and those that are filled ahead, one to five.
const PREFETCH_BYTES: usize = 512 << 20;
/// Time between two questions whether to give up waiting.
const ASK: Duration = Duration::from_millis(100);

/// What batches look like.
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    /// Side of the images, in pixels.
    pub size: u32,
    /// What happens to images.
    pub augment: Augment,
    /// How they are resized: the model's.
    pub preprocess: PreprocessCfg,
    /// Seed of augmentation.
    pub seed: u64,
    /// Decoding threads.
    pub threads: usize,
    /// This process and all of them: each takes its rows of every batch.
    pub share: (usize, usize),
    /// Where the batches go: buffers are pinned for a GPU.
    pub device: Device,
}

/// One process's rows of a batch, in host memory. The images' memory is filled again from the next
/// batch on.
pub struct Batch {
    /// Number of the step, from 0 over all epochs.
    pub step: u64,
    /// Pixels, bytes [rows, size, size, 3].
    pub images: Tensor,
    /// Token ids, [rows, length], zero padded to the longest.
    pub tokens: Tensor,
    /// Rows.
    pub len: usize,
}

/// Some rows of a step, to be filled.
struct Job {
    step: u64,
    row: usize,
    planned: Vec<Planned>,
    images: Tensor,
}

/// The same, filled.
struct Rows {
    step: u64,
    row: usize,
    images: Tensor,
    texts: Vec<Vec<u16>>,
    faults: Vec<String>,
}

/// Decodes ahead of the training in its own threads.
pub struct Loader {
    rows: Option<Receiver<Result<Rows>>>,
    free: Sender<Tensor>,
    threads: Vec<JoinHandle<()>>,
    lent: Option<Tensor>,
    waiting: BTreeMap<(u64, usize), Rows>,
    next: u64,
    local: usize,
    faults: Vec<String>,
}

impl Loader {
    /// Starts the threads at step `first`.
    pub fn start(sampler: &Sampler, options: &LoaderOptions, first: u64) -> Result<Self> {
        let (rank, world) = options.share;
        let batch = sampler.epochs().batch();
        if !batch.is_multiple_of(world) {
            return Err(Error::Recipe(format!(
                "a batch of {batch} cannot be shared by {world} processes"
            )));
        }
        let local = batch / world;
        let threads = options.threads.max(1);
        let shape = [local, options.size as usize, options.size as usize, 3];
        let slots = (PREFETCH_BYTES / shape.iter().product::<usize>().max(1)).clamp(2, 6);
        let shape = shape.map(|size| size as i64);
        // A step is planned when it has memory: no more is decoded ahead.
        let (free, memory) = bounded(slots);
        for _ in 0..slots {
            let _ = free.send(host_bytes(&shape, options.device)?);
        }
        let (jobs, work) = bounded::<Job>(threads);
        let (filled, rows) = unbounded();
        let mut handles = vec![{
            let (sampler, filled) = (sampler.clone(), filled.clone());
            std::thread::spawn(move || {
                let steps = sampler.rows(rank * local..(rank + 1) * local, first);
                for (step, planned) in (first..).zip(steps) {
                    let Ok(images) = memory.recv() else { return };
                    let planned = match planned {
                        Ok(planned) => planned,
                        Err(error) => {
                            // The consumer may be gone.
                            let _ = filled.send(Err(error));
                            return;
                        }
                    };
                    for (at, planned) in planned.chunks(ROWS).enumerate() {
                        let (row, images) = (at * ROWS, images.shallow_clone());
                        if jobs.send(Job { step, row, planned: planned.to_vec(), images }).is_err()
                        {
                            return;
                        }
                    }
                }
            })
        }];
        for _ in 0..threads {
            let (work, filled) = (work.clone(), filled.clone());
            let (sampler, options) = (sampler.clone(), options.clone());
            handles.push(std::thread::spawn(move || {
                for job in work {
                    // The others' channel would stay open: without an answer the training would
                    // wait for ever.
                    let rows = catch_unwind(AssertUnwindSafe(|| fill(&sampler, &options, job)))
                        .unwrap_or_else(|_| {
                            Err(Error::Recipe("a decoding thread panicked".into()))
                        });
                    let failed = rows.is_err();
                    if filled.send(rows).is_err() || failed {
                        return;
                    }
                }
            }));
        }
        Ok(Self {
            rows: Some(rows),
            free,
            threads: handles,
            lent: None,
            waiting: BTreeMap::new(),
            next: first,
            local,
            faults: Vec::new(),
        })
    }

    /// The next batch, after waiting for it if need be. The one before must not be used any more,
    /// nor be on its way to a GPU. While it is waited for, `give_up` hears a few times a second
    /// how many of its pairs are there; when that says yes there is no batch, and no next one.
    ///
    /// # Errors
    /// When a thread failed, or no batch is left; there is no next one then.
    pub fn next_batch(&mut self, give_up: &mut dyn FnMut(usize) -> bool) -> Result<Option<Batch>> {
        if let Some(images) = self.lent.take() {
            // The planner may be done already.
            let _ = self.free.try_send(images);
        }
        let step = self.next;
        let mut texts = Vec::with_capacity(self.local);
        let mut asked = Instant::now();
        while texts.len() < self.local {
            let row = texts.len();
            if asked.elapsed() >= ASK {
                let ahead = self.waiting.range((step, 0)..(step + 1, 0));
                let ahead: usize = ahead.map(|(_, rows)| rows.texts.len()).sum();
                if give_up(row + ahead) {
                    return Ok(None);
                }
                asked = Instant::now();
            }
            let rows = match self.waiting.remove(&(step, row)) {
                Some(rows) => rows,
                None => {
                    let Some(rows) = self.receive()? else { continue };
                    if (rows.step, rows.row) != (step, row) {
                        self.waiting.insert((rows.step, rows.row), rows);
                        continue;
                    }
                    rows
                }
            };
            texts.extend(rows.texts);
            self.faults.extend(rows.faults);
            self.lent = Some(rows.images);
        }
        self.next += 1;
        let lent = self.lent.as_ref();
        let images = lent
            .map(Tensor::shallow_clone)
            .ok_or_else(|| Error::Recipe("a batch of no pairs".into()))?;
        Ok(Some(Batch { step, images, tokens: padded(&texts), len: self.local }))
    }

    /// The next rows, or none within [`ASK`].
    fn receive(&self) -> Result<Option<Rows>> {
        let gone = || Error::Recipe("the loader has no more batches".into());
        match self.rows.as_ref().ok_or_else(gone)?.recv_timeout(ASK) {
            Ok(rows) => rows.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }

    /// What was wrong with images since the last call; each was replaced by the next pair of the
    /// corpus.
    pub fn take_faults(&mut self) -> Vec<String> {
        std::mem::take(&mut self.faults)
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.rows = None;
        // Wakes the planner: it sees a closed channel.
        self.free = bounded(1).0;
        for thread in self.threads.drain(..) {
            // A panic there was reported to the consumer.
            let _ = thread.join();
        }
    }
}

/// Token lists to [rows, longest], zero padded.
pub(crate) fn padded(texts: &[Vec<u16>]) -> Tensor {
    let length = texts.iter().map(Vec::len).max().unwrap_or(0);
    let mut ids = vec![0i64; length * texts.len()];
    for (row, text) in ids.chunks_mut(length.max(1)).zip(texts) {
        row.iter_mut().zip(text).for_each(|(id, &token)| *id = i64::from(token));
    }
    Tensor::from_slice(&ids).view([texts.len() as i64, length as i64])
}

fn fill(sampler: &Sampler, options: &LoaderOptions, job: Job) -> Result<Rows> {
    let Job { step, row, planned, images } = job;
    let (mut texts, mut faults) = (Vec::with_capacity(planned.len()), Vec::new());
    for (row, planned) in (row..).zip(planned) {
        let mut draw = Draw::new("augment", options.seed, planned.pass, planned.slot);
        let (image, text) = sampler.load(&planned, &mut faults)?;
        let LoaderOptions { augment, size, preprocess, .. } = options;
        let pixels = augment.apply(&image, *size, preprocess, &mut draw).data;
        write_bytes(&images, row * pixels.len(), &pixels)?;
        texts.push(text);
    }
    Ok(Rows { step, row, images, texts, faults })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EpochSampler;
    use crate::tests::{corpus, corpus_of};
    use clip_image::{Rgb, encode_png};

    fn options(threads: usize, share: (usize, usize)) -> LoaderOptions {
        let augment = Augment::Small(1.0);
        let preprocess = PreprocessCfg::default();
        LoaderOptions { size: 8, augment, preprocess, seed: 3, threads, share, device: Device::Cpu }
    }

    type Plain = (u64, Vec<u8>, Vec<i64>);

    fn batches(plan: &EpochSampler, options: &LoaderOptions, first: u64) -> Vec<Plain> {
        let mut loader = Loader::start(&plan.clone().into(), options, first).unwrap();
        let plain = |batch: Batch| {
            let images = Vec::try_from(batch.images.view([-1])).unwrap();
            (batch.step, images, Vec::try_from(batch.tokens.view([-1])).unwrap())
        };
        (first..plan.epochs().steps())
            .map(|_| plain(loader.next_batch(&mut |_| false).unwrap().unwrap()))
            .collect()
    }

    #[test]
    fn threads_and_resuming_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), 90);
        let plan = EpochSampler::new(&corpus, 3, 40, 5).unwrap();
        let whole = batches(&plan, &options(1, (0, 1)), 0);
        assert_eq!(whole.iter().map(|b| b.0).collect::<Vec<_>>(), (0..11).collect::<Vec<_>>());
        assert_eq!(batches(&plan, &options(3, (0, 1)), 0), whole);
        assert_eq!(batches(&plan, &options(2, (0, 1)), 5), whole[5..]);
    }

    #[test]
    fn ranks_share_a_batch_without_gap_or_overlap() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), 90);
        let plan = EpochSampler::new(&corpus, 3, 40, 2).unwrap();
        let whole = batches(&plan, &options(1, (0, 1)), 0);
        let halves = [0, 1].map(|rank| batches(&plan, &options(2, (rank, 2)), 0));
        for (step, (_, images, _)) in whole.iter().enumerate() {
            assert_eq!(*images, [halves[0][step].1.clone(), halves[1][step].1.clone()].concat());
        }
        assert!(Loader::start(&plan.clone().into(), &options(1, (0, 3)), 0).is_err());
    }

    #[test]
    fn a_broken_image_is_replaced_and_reported() {
        let folder = tempfile::tempdir().unwrap();
        let good = encode_png(&Rgb::filled(16, 16, [9, 9, 9])).unwrap();
        let image = |i: usize| if i == 2 { b"no image".to_vec() } else { good.clone() };
        let corpus = corpus_of(folder.path(), 8, &image);
        let plan = EpochSampler::new(&corpus, 3, 8, 1).unwrap();
        let mut loader = Loader::start(&plan.clone().into(), &options(2, (0, 1)), 0).unwrap();
        loader.next_batch(&mut |_| false).unwrap().unwrap();
        let faults = loader.take_faults();
        assert!(faults.len() == 1 && faults[0].contains("the image at byte"), "{faults:?}");
    }
}
