//! Batches from threads: each thread fills a few rows of a batch that is due, in the memory it is
//! used from.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clip_image::preprocess_cfg::PreprocessCfg;
use clip_random::Draw;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use crate::planned::Planned;
use crate::{Augment, Error, Result, Sampler};

/// Rows that a thread fills at a time.
const ROWS: usize = 16;
/// Bytes of images in memory: the batch in use and those that are filled ahead, one to five.
const PREFETCH_BYTES: usize = 512 << 20;
/// Time between two questions whether to give up waiting.
const ASK: Duration = Duration::from_millis(100);

/// Memory of the images of a batch, which several threads fill at a time: a tensor's, or plain
/// bytes ([`RowMemory`](crate::RowMemory)).
pub trait BatchMemory: Send + Sized + 'static {
    /// What filling it fails with.
    type Error: From<Error> + Send + 'static;

    /// Another handle of the same memory.
    fn share(&self) -> Self;

    /// Memory for a later batch, when this one's was used: itself, unless someone keeps it.
    #[must_use]
    fn renew(self) -> Self {
        self
    }

    /// Copies an image's pixels to a byte offset.
    ///
    /// # Errors
    /// When they do not fit.
    fn write(&self, offset: usize, pixels: &[u8]) -> std::result::Result<(), Self::Error>;
}

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
    /// From one step to the next that is loaded: processes that take turns load every n-th.
    pub stride: usize,
}

impl Default for LoaderOptions {
    /// The paper's images, and its random crop, in one thread of one process.
    fn default() -> Self {
        Self {
            size: 224,
            augment: Augment::SquareCrop,
            preprocess: PreprocessCfg::default(),
            seed: 0,
            threads: 1,
            share: (0, 1),
            stride: 1,
        }
    }
}

/// One process's rows of a batch. The images' memory may be filled again from the next batch on, as
/// [`BatchMemory::renew`] has it.
pub struct Batch<M> {
    /// Number of the step, from 0 over all epochs.
    pub step: u64,
    /// Pixels, bytes [rows, size, size, 3].
    pub images: M,
    /// Token ids of each row, start and end included, without padding.
    pub texts: Vec<Vec<u16>>,
}

/// Some rows of a step, to be filled.
struct Job<M> {
    step: u64,
    row: usize,
    planned: Vec<Planned>,
    images: M,
}

/// The same, filled.
struct Rows<M> {
    step: u64,
    row: usize,
    images: M,
    texts: Vec<Vec<u16>>,
    faults: Vec<String>,
}

/// Decodes ahead in its own threads.
pub struct Loader<M: BatchMemory> {
    rows: Option<Receiver<std::result::Result<Rows<M>, M::Error>>>,
    free: Sender<M>,
    /// Whether threads leave what they are at.
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    lent: Option<M>,
    waiting: BTreeMap<(u64, usize), Rows<M>>,
    next: u64,
    stride: u64,
    local: usize,
    faults: Vec<String>,
}

impl<M: BatchMemory> Loader<M> {
    /// Starts the threads at step `first`; `allocate` gives memory of a shape for a batch, a few
    /// times.
    ///
    /// # Errors
    /// When the processes cannot share a batch equally, or there is no memory.
    pub fn start(
        sampler: &Sampler,
        options: &LoaderOptions,
        first: u64,
        mut allocate: impl FnMut([usize; 4]) -> std::result::Result<M, M::Error>,
    ) -> std::result::Result<Self, M::Error> {
        let (rank, world) = options.share;
        let batch = sampler.epochs().batch();
        if !batch.is_multiple_of(world) {
            let reason = format!("a batch of {batch} cannot be shared by {world} processes");
            return Err(Error::Options(reason).into());
        }
        let local = batch / world;
        let threads = options.threads.max(1);
        let shape = [local, options.size as usize, options.size as usize, 3];
        let slots = (PREFETCH_BYTES / shape.iter().product::<usize>().max(1)).clamp(2, 6);
        // A step is planned when it has memory: no more is decoded ahead.
        let (free, memory) = bounded(slots);
        for _ in 0..slots {
            let _ = free.send(allocate(shape)?);
        }
        let (jobs, work) = bounded::<Job<M>>(threads);
        let (filled, rows) = unbounded();
        let stride = options.stride.max(1) as u64;
        let stop = Arc::new(AtomicBool::new(false));
        let mut handles = vec![{
            let (sampler, filled) = (sampler.clone(), filled.clone());
            std::thread::spawn(move || {
                let steps = sampler.rows(rank * local..(rank + 1) * local, first);
                // What goes wrong in a step of another process's ends this one, too.
                let own = |(step, planned): &(u64, Result<_>)| {
                    planned.is_err() || (step - first).is_multiple_of(stride)
                };
                for (step, planned) in (first..).zip(steps).filter(own) {
                    let Ok(images) = memory.recv() else { return };
                    let planned = match planned {
                        Ok(planned) => planned,
                        Err(error) => {
                            // The consumer may be gone.
                            let _ = filled.send(Err(error.into()));
                            return;
                        }
                    };
                    for (at, planned) in planned.chunks(ROWS).enumerate() {
                        let (row, images) = (at * ROWS, images.share());
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
            let (sampler, options, stop) = (sampler.clone(), options.clone(), Arc::clone(&stop));
            handles.push(std::thread::spawn(move || {
                for job in work {
                    // The others' channel would stay open: without an answer the training would
                    // wait for ever.
                    let rows =
                        catch_unwind(AssertUnwindSafe(|| fill(&sampler, &options, job, &stop)))
                            .unwrap_or_else(|_| {
                                Err(Error::Options("a decoding thread panicked".into()).into())
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
            stop,
            threads: handles,
            lent: None,
            waiting: BTreeMap::new(),
            next: first,
            stride,
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
    pub fn next_batch(
        &mut self,
        give_up: &mut dyn FnMut(usize) -> bool,
    ) -> std::result::Result<Option<Batch<M>>, M::Error> {
        if let Some(images) = self.lent.take() {
            // The planner may be done already.
            let _ = self.free.try_send(images.renew());
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
        self.next += self.stride;
        let images = self.lent.as_ref().map(M::share);
        let images = images.ok_or_else(|| Error::Options("a batch of no pairs".into()))?;
        Ok(Some(Batch { step, images, texts }))
    }

    /// The next rows, or none within [`ASK`].
    fn receive(&self) -> std::result::Result<Option<Rows<M>>, M::Error> {
        let gone = || M::Error::from(Error::Options("the loader has no more batches".into()));
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

impl<M: BatchMemory> Drop for Loader<M> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.rows = None;
        // Wakes the planner: it sees a closed channel.
        self.free = bounded(1).0;
        for thread in self.threads.drain(..) {
            // A panic there was reported to the consumer.
            let _ = thread.join();
        }
    }
}

fn fill<M: BatchMemory>(
    sampler: &Sampler,
    options: &LoaderOptions,
    job: Job<M>,
    stop: &AtomicBool,
) -> std::result::Result<Rows<M>, M::Error> {
    let Job { step, row, planned, images } = job;
    let (mut texts, mut faults) = (Vec::with_capacity(planned.len()), Vec::new());
    for (row, planned) in (row..).zip(planned) {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Options("the loader has no more batches".into()).into());
        }
        let mut draw = Draw::new("augment", options.seed, planned.pass, planned.slot);
        let (image, text) = sampler.load(&planned, &mut faults)?;
        let LoaderOptions { augment, size, preprocess, .. } = options;
        let pixels = augment.apply(&image, *size, preprocess, &mut draw).data;
        images.write(row * pixels.len(), &pixels)?;
        texts.push(text);
    }
    Ok(Rows { step, row, images, texts, faults })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{corpus, corpus_of};
    use crate::{EpochSampler, RowMemory};
    use clip_image::{Rgb, encode_png};

    fn options(threads: usize, share: (usize, usize)) -> LoaderOptions {
        let augment = Augment::Small(1.0);
        LoaderOptions { size: 8, augment, seed: 3, threads, share, ..LoaderOptions::default() }
    }

    fn start(
        plan: &EpochSampler,
        options: &LoaderOptions,
        first: u64,
    ) -> Result<Loader<RowMemory>> {
        Loader::start(&plan.clone().into(), options, first, RowMemory::of_bytes)
    }

    type Plain = (u64, Vec<u8>, Vec<Vec<u16>>);

    fn batches(plan: &EpochSampler, options: &LoaderOptions, first: u64) -> Vec<Plain> {
        let mut loader = start(plan, options, first).unwrap();
        let plain = |batch: Batch<RowMemory>| (batch.step, batch.images.to_vec(), batch.texts);
        (first..plan.epochs().steps())
            .step_by(options.stride)
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
    fn processes_that_take_turns_load_the_same_batches() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), 90);
        let plan = EpochSampler::new(&corpus, 3, 8, 2).unwrap();
        let whole = batches(&plan, &options(1, (0, 1)), 5);
        for turns in [2, 4] {
            let each: Vec<Vec<Plain>> = (0..turns)
                .map(|turn| {
                    let options = LoaderOptions { stride: turns, ..options(1, (0, 1)) };
                    batches(&plan, &options, 5 + turn as u64)
                })
                .collect();
            let merged: Vec<Plain> =
                (0..whole.len()).map(|at| each[at % turns][at / turns].clone()).collect();
            assert!(merged == whole, "{turns} processes");
        }
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
        assert!(start(&plan, &options(1, (0, 3)), 0).is_err());
    }

    #[test]
    fn decoded_images_are_kept_while_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let image = |i: usize| encode_png(&Rgb::filled(64, 64, [i as u8; 3])).unwrap();
        corpus_of(folder.path(), 8, &image);
        let source = crate::Source { spec: folder.path().display().to_string(), weight: 1.0 };
        let options = crate::CorpusOptions {
            context: 12,
            side: Some(8),
            cache_bytes: 30_000,
            weight_column: None,
            caption_keys: crate::CaptionKeys::default(),
            identity: crate::Identity::None,
        };
        let corpus = crate::Corpus::open(&[source], &options).unwrap();
        for _ in 0..2 {
            for pair in 0..8 {
                assert_eq!(corpus.image(pair).unwrap(), Rgb::filled(64, 64, [pair as u8; 3]));
            }
            let kept = corpus.kept_bytes.load(std::sync::atomic::Ordering::Relaxed);
            assert_eq!(kept, 2 * 64 * 64 * 3);
        }
    }

    #[test]
    fn a_broken_image_is_replaced_and_reported() {
        let folder = tempfile::tempdir().unwrap();
        let good = encode_png(&Rgb::filled(16, 16, [9, 9, 9])).unwrap();
        let image = |i: usize| if i == 2 { b"no image".to_vec() } else { good.clone() };
        let corpus = corpus_of(folder.path(), 8, &image);
        let plan = EpochSampler::new(&corpus, 3, 8, 1).unwrap();
        let mut loader = start(&plan, &options(2, (0, 1)), 0).unwrap();
        loader.next_batch(&mut |_| false).unwrap().unwrap();
        let faults = loader.take_faults();
        assert!(faults.len() == 1 && faults[0].contains("the image at byte"), "{faults:?}");
    }
}
