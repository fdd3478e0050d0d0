//! Where epochs begin in the stream of a run's samples.

use std::sync::Arc;

use crate::{Error, Result};

/// Epochs, and passes over the corpus, that a run may have.
pub(crate) const MOST_EPOCHS: u64 = 1_000_000;

/// The epochs of a run in steps.
#[derive(Debug, Clone)]
pub struct Epochs {
    batch: usize,
    /// Where each epoch begins in the stream, and where the last ends.
    starts: Arc<Vec<u64>>,
}

/// Where each pass over the corpus begins in the stream, and where the last ends: as many as the
/// run needs. `size` gives the samples of a pass.
///
/// # Errors
/// When a pass has not one batch, or the run needs too many.
pub(crate) fn passes(
    batch: usize,
    epochs: u64,
    samples: Option<u64>,
    size: impl Fn(u64) -> u64,
) -> Result<Vec<u64>> {
    if !(1..=MOST_EPOCHS).contains(&epochs) {
        return Err(Error::Options(format!("--epochs {epochs}: 1 to {MOST_EPOCHS} are wanted")));
    }
    let pass = size(0);
    if batch == 0 || pass < batch as u64 {
        return Err(Error::Options(format!(
            "a batch of {batch} pairs, over all processes, is more than the corpus has: {pass}\n\
             hint: lower --batch-size, --accum-freq or --global-batch-size"
        )));
    }
    if let Some(samples) = samples.filter(|&samples| samples < batch as u64) {
        return Err(Error::Options(format!(
            "--train-num-samples {samples} is less than a batch of {batch} pairs"
        )));
    }
    let end = samples.map(|samples| samples.saturating_mul(epochs));
    let mut passes = vec![0, pass];
    let last = |passes: &[u64]| passes[passes.len() - 1];
    while end.map_or(passes.len() <= epochs as usize, |end| last(&passes) < end) {
        if passes.len() as u64 > MOST_EPOCHS {
            let most = MOST_EPOCHS;
            return Err(Error::Options(format!("--train-num-samples: more than {most} passes")));
        }
        passes.push(last(&passes) + size(passes.len() as u64 - 1));
    }
    Ok(passes)
}

impl Epochs {
    /// An epoch is a pass, or a budget of `samples` of the stream.
    pub(crate) fn new(batch: usize, epochs: u64, samples: Option<u64>, passes: &[u64]) -> Self {
        let starts = match samples {
            Some(samples) => (0..=epochs).map(|epoch| epoch.saturating_mul(samples)).collect(),
            None => passes.to_vec(),
        };
        Self { batch, starts: Arc::new(starts) }
    }

    /// Steps of the run.
    pub fn steps(&self) -> u64 {
        self.starts[self.starts.len() - 1] / self.batch as u64
    }

    /// The epoch that step `step` begins in.
    pub fn epoch(&self, step: u64) -> u64 {
        holder(&self.starts, step * self.batch as u64)
    }

    /// Number of epochs.
    pub fn count(&self) -> u64 {
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
}

/// Which part of a stream holds a place, by where the parts begin and the last ends.
pub(crate) fn holder(starts: &[u64], at: u64) -> u64 {
    (starts.partition_point(|&start| start <= at) - 1).min(starts.len() - 2) as u64
}
