//! Batches of images and captions from shards, in an order that is a function of seed and step: on
//! any number of processes and threads, and from any step on. Nothing here needs libtorch.
//!
//! A corpus is indexed and shuffled as a whole ([`Corpus`]), or read as it is used and shuffled in
//! windows ([`ShardStream`]); a [`Sampler`] is the order of a run over either; a [`Loader`] decodes
//! and augments ahead, into memory of the caller's kind.
//!
//! ```
//! use std::sync::Arc;
//! use clip_loader::{Augment, Corpus, Loader, LoaderOptions, RowMemory, TrainData};
//!
//! let data: TrainData = Arc::new(Corpus::synthetic(32, 77, 8)).into();
//! let sampler = data.sampler(0, 16, 1, None)?;
//! let options = LoaderOptions { size: 8, augment: Augment::None, ..LoaderOptions::default() };
//! let mut loader = Loader::start(&sampler, &options, 0, RowMemory::of_bytes)?;
//! let batch = loader.next_batch(&mut |_| false)?.ok_or("interrupted")?;
//! assert_eq!(batch.images.to_vec().len(), 16 * 8 * 8 * 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod aug_cfg;
mod augment;
mod captions;
mod colour;
mod contents;
mod csv;
mod data;
mod dataset;
mod epochs;
mod error;
mod loader;
mod open_files;
mod planned;
mod row_memory;
mod sampler;
mod shard;
mod stored_image;
mod stream;
mod synthetic;
#[cfg(test)]
mod tests;

pub use aug_cfg::AugCfg;
pub use augment::Augment;
pub use captions::{CaptionKeys, pad_tokens};
pub use csv::{CsvOptions, open_csv};
pub use data::{Sampler, TrainData};
pub use dataset::{Arm, Corpus, CorpusOptions, Identity, SampleName, SampleRef, Source};
pub use epochs::Epochs;
pub use error::{Error, Result};
pub use loader::{Batch, BatchMemory, Loader, LoaderOptions};
pub use row_memory::{PixelFormat, RowMemory};
pub use sampler::{Batches, EpochSampler, UseCounter};
pub use stream::{ShardStream, StreamOptions, StreamSampler};
