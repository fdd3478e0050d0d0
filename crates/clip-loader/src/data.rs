//! What a run trains on, and in which order: a corpus that is indexed and shuffled as a whole, or
//! one that is streamed.

use std::ops::Range;
use std::sync::Arc;

use clip_image::Rgb;

use crate::planned::{Planned, Sample};
use crate::stream::StreamRows;
use crate::{Corpus, EpochSampler, Epochs, Error, Result, SampleRef, ShardStream, StreamSampler};

/// What a run trains on.
#[derive(Clone)]
pub enum TrainData {
    /// Indexed with its captions, and shuffled as a whole.
    Whole(Arc<Corpus>),
    /// Read as it is used, and shuffled in windows.
    Streamed(Arc<ShardStream>),
}

/// The order of a run over its data.
#[derive(Clone)]
pub enum Sampler {
    /// Of a whole corpus.
    Whole(EpochSampler),
    /// Of a streamed one.
    Streamed(StreamSampler),
}

impl From<Arc<Corpus>> for TrainData {
    fn from(corpus: Arc<Corpus>) -> Self {
        Self::Whole(corpus)
    }
}

impl From<EpochSampler> for Sampler {
    fn from(sampler: EpochSampler) -> Self {
        Self::Whole(sampler)
    }
}

impl TrainData {
    /// The order of a run of `epochs` epochs: passes, or budgets of `samples`.
    ///
    /// # Errors
    /// When a pass has not one batch of pairs.
    pub fn sampler(
        &self,
        seed: u64,
        batch: usize,
        epochs: u64,
        samples: Option<u64>,
    ) -> Result<Sampler> {
        Ok(match self {
            Self::Whole(corpus) => {
                EpochSampler::with_samples(corpus, seed, batch, epochs, samples)?.into()
            }
            Self::Streamed(stream) => {
                Sampler::Streamed(stream.sampler(seed, batch, epochs, samples)?)
            }
        })
    }

    /// Pairs.
    pub fn pairs(&self) -> u64 {
        match self {
            Self::Whole(corpus) => corpus.len() as u64,
            Self::Streamed(stream) => stream.len(),
        }
    }

    /// Shards.
    pub fn shards(&self) -> usize {
        match self {
            Self::Whole(corpus) => corpus.shards(),
            Self::Streamed(stream) => stream.shards(),
        }
    }

    /// What the data are, and how they are shuffled.
    pub fn digest(&self) -> &str {
        match self {
            Self::Whole(corpus) => corpus.digest(),
            Self::Streamed(stream) => stream.digest(),
        }
    }
}

impl Sampler {
    /// Where epochs begin.
    pub fn epochs(&self) -> &Epochs {
        match self {
            Self::Whole(sampler) => sampler.epochs(),
            Self::Streamed(sampler) => sampler.epochs(),
        }
    }

    /// Whether batches avoid equal texts.
    pub fn has_distinct_texts(&self) -> bool {
        match self {
            Self::Whole(sampler) => sampler.has_distinct_texts(),
            Self::Streamed(_) => true,
        }
    }

    /// The rows `rows` of each batch, from step `first` on.
    pub(crate) fn rows(
        &self,
        rows: Range<usize>,
        first: u64,
    ) -> Box<dyn Iterator<Item = Result<Vec<Planned>>> + Send> {
        match self {
            Self::Whole(sampler) => {
                let own = move |batch: Vec<SampleRef>| {
                    Ok(batch[rows.clone()].iter().copied().map(Planned::from).collect())
                };
                Box::new(sampler.batches(first).map(own))
            }
            Self::Streamed(sampler) => Box::new(StreamRows::new(sampler, rows, first)),
        }
    }

    /// Image and tokens of a row; those of another where the image cannot be read, which `faults`
    /// names.
    pub(crate) fn load(
        &self,
        planned: &Planned,
        faults: &mut Vec<String>,
    ) -> Result<(Rgb, Vec<u16>)> {
        match (self, &planned.sample) {
            (Self::Whole(sampler), Sample::Whole(sample)) => {
                sampler.corpus().sample(*sample, faults)
            }
            (Self::Streamed(sampler), Sample::Streamed(sample)) => {
                sampler.stream.sample(sample, faults)
            }
            _ => Err(Error::Options("a sample of another corpus".into())),
        }
    }
}
