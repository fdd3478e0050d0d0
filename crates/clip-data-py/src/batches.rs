//! Batches of a streamed corpus.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use clip_image::preprocess_cfg::PreprocessCfg;
use clip_loader::{
    Augment, CaptionKeys, Loader, LoaderOptions, PixelFormat, RowMemory, Sampler, ShardStream,
    Source, StreamOptions, StreamSampler,
};
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

use crate::dlpack::Images;
use crate::error::{Raised, message};
use crate::image::{check_size, preprocess_cfg};
use crate::interrupt::interruptible;
use crate::tokens::id_bytes;

/// The shards of a corpus, and the order of a run over them.
#[pyclass(frozen, module = "clip_data._native")]
pub struct Stream {
    stream: Arc<ShardStream>,
    sampler: StreamSampler,
    size: u32,
    augment: Augment,
    preprocess: PreprocessCfg,
    seed: u64,
    context: usize,
}

#[pymethods]
impl Stream {
    /// Counts the shards, and plans the run.
    #[new]
    #[pyo3(signature = (
        shards, *, global_batch_size, seed, epochs, train_num_samples, image_size, context_length, augment, preprocess,
        caption_keys, weight_column, shuffle_window, dataset_resampled, cache, counts
    ))]
    #[expect(clippy::too_many_arguments, reason = "Python gives them by name")]
    fn new(
        py: Python<'_>,
        shards: Vec<(String, f32)>,
        global_batch_size: usize,
        seed: u64,
        epochs: u64,
        train_num_samples: Option<u64>,
        image_size: u32,
        context_length: usize,
        augment: &str,
        preprocess: &str,
        caption_keys: &str,
        weight_column: Option<String>,
        shuffle_window: Option<usize>,
        dataset_resampled: bool,
        cache: Option<(PathBuf, u64)>,
        counts: Option<PathBuf>,
    ) -> PyResult<Self> {
        check_size(image_size)?;
        if !(2..=65_536).contains(&context_length) {
            return Err(message(format!("context_length {context_length}: 2 to 65536 are wanted")));
        }
        if shuffle_window == Some(0) {
            return Err(message("shuffle_window 0: 1 or more shards are wanted".into()));
        }
        let augment = augment.parse().map_err(|e| message(format!("augment {augment:?}: {e}")))?;
        let caption_keys: CaptionKeys =
            caption_keys.parse().map_err(|e| message(format!("caption_keys: {e}")))?;
        let preprocess = preprocess_cfg(preprocess)?;
        let sources: Vec<Source> =
            shards.into_iter().map(|(spec, weight)| Source { spec, weight }).collect();
        let options = StreamOptions {
            context: context_length,
            // As `clip-data train` has it, whose batches these are.
            side: image_size * 4 / 3,
            weight_column,
            caption_keys,
            window: shuffle_window,
            resampled: dataset_resampled,
            cache,
            counts,
        };
        let open = move || ShardStream::open(&sources, options).raised();
        let stream = Arc::new(interruptible(py, || {}, open)?);
        let sampler =
            stream.sampler(seed, global_batch_size, epochs, train_num_samples).raised()?;
        Ok(Self {
            stream,
            sampler,
            size: image_size,
            augment,
            preprocess,
            seed,
            context: context_length,
        })
    }

    /// What the corpus is, and how it is shuffled.
    #[getter]
    fn digest(&self) -> &str {
        self.stream.digest()
    }

    /// Pairs in the shards.
    #[getter]
    fn pairs(&self) -> u64 {
        self.stream.len()
    }

    /// Number of shards.
    #[getter]
    fn shards(&self) -> usize {
        self.stream.shards()
    }

    /// Steps of the whole run.
    #[getter]
    fn steps(&self) -> u64 {
        self.sampler.epochs().steps()
    }

    /// The epoch that a step begins in.
    fn epoch(&self, step: u64) -> u64 {
        self.sampler.epochs().epoch(step)
    }

    /// The first step of an epoch; of those after the last, the number of steps.
    fn first_step(&self, epoch: u64) -> u64 {
        let epochs = self.sampler.epochs();
        epochs.first_step(epoch.min(epochs.count()))
    }

    /// A rank's rows of every `stride`-th step from `first` on, up to `end`.
    fn batches(
        &self,
        first: u64,
        end: u64,
        stride: usize,
        share: (usize, usize),
        threads: usize,
        normalize: bool,
    ) -> PyResult<Batches> {
        let (rank, world) = share;
        if rank >= world {
            return Err(message(format!("rank {rank} of {world} processes: 0 is the first")));
        }
        let options = LoaderOptions {
            size: self.size,
            augment: self.augment,
            preprocess: self.preprocess,
            seed: self.seed,
            threads,
            share,
            stride,
        };
        let cfg = &self.preprocess;
        let format = if normalize { PixelFormat::normalized(cfg) } else { PixelFormat::Bytes };
        let format = Arc::new(format);
        let sampler = Sampler::Streamed(self.sampler.clone());
        let memory = |shape: [usize; 4]| Ok(RowMemory::new(shape, &format));
        let loader = Loader::start(&sampler, &options, first, memory).raised()?;
        let left = end.saturating_sub(first).div_ceil(stride.max(1) as u64);
        let left = AtomicU64::new(left);
        let (loader, side) = (Mutex::new(loader), self.size as usize);
        Ok(Batches { loader, left, side, normalize, context: self.context })
    }
}

/// Images, token ids as bytes, rows, and what was wrong with images.
type Batch<'py> = (Images, Bound<'py, PyByteArray>, usize, Vec<String>);

/// Batches that are decoded ahead.
#[pyclass(frozen, module = "clip_data._native")]
pub struct Batches {
    loader: Mutex<Loader<RowMemory>>,
    /// Batches to come.
    left: AtomicU64,
    side: usize,
    normalize: bool,
    context: usize,
}

#[pymethods]
impl Batches {
    /// The next batch; none after the last.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<Batch<'py>>> {
        if self.left.load(Ordering::Relaxed) == 0 {
            return Ok(None);
        }
        let mut signal = None;
        let (batch, faults) = py.detach(|| {
            let mut loader = self.loader.lock().unwrap_or_else(PoisonError::into_inner);
            let mut give_up = |_: usize| {
                signal = Python::attach(|py| py.check_signals()).err();
                signal.is_some()
            };
            (loader.next_batch(&mut give_up), loader.take_faults())
        });
        let Some(batch) = batch.raised()? else {
            return Err(signal.unwrap_or_else(|| message("interrupted".into())));
        };
        self.left.fetch_sub(1, Ordering::Relaxed);
        let rows = batch.texts.len();
        let images = Images::new(batch.images, rows, self.side, self.normalize);
        let mut ids = vec![0; rows * self.context];
        for (row, text) in ids.chunks_mut(self.context).zip(&batch.texts) {
            row.iter_mut().zip(text).for_each(|(id, &token)| *id = i64::from(token));
        }
        Ok(Some((images, id_bytes(py, &ids)?, rows, faults)))
    }
}
