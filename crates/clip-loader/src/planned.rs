//! A row of a batch before it is read.

use crate::SampleRef;
use crate::stream::StreamSample;

/// One row of a batch that is due.
#[derive(Clone)]
pub(crate) struct Planned {
    /// The pass over the corpus.
    pub pass: u64,
    /// Number of the use within its pass: what its random transform is drawn from.
    pub slot: u64,
    pub sample: Sample,
}

/// Where it is from.
#[derive(Clone)]
pub(crate) enum Sample {
    Whole(SampleRef),
    Streamed(StreamSample),
}

impl Planned {
    pub fn streamed(pass: u64, slot: u64, sample: StreamSample) -> Self {
        Self { pass, slot, sample: Sample::Streamed(sample) }
    }

    /// The text of a streamed sample; of another it is known as tokens.
    pub fn text(&self) -> Option<&str> {
        let Sample::Streamed(sample) = &self.sample else { return None };
        Some(&sample.text)
    }
}

impl From<SampleRef> for Planned {
    fn from(sample: SampleRef) -> Self {
        let (pass, slot) = (u64::from(sample.pass), u64::from(sample.slot));
        Self { pass, slot, sample: Sample::Whole(sample) }
    }
}
