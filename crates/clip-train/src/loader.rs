//! Batches as tensors: threads of [`clip_loader`] fill the memory that a step trains from.

use clip_loader::{BatchMemory, LoaderOptions, Sampler, pad_tokens};
use clip_torch::tch::{Device, Tensor};
use clip_torch::{host_bytes, write_bytes};

use crate::{Error, Result};

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

/// Bytes in host memory.
struct HostTensor(Tensor);

impl BatchMemory for HostTensor {
    type Error = Error;

    fn share(&self) -> Self {
        Self(self.0.shallow_clone())
    }

    fn write(&self, offset: usize, pixels: &[u8]) -> Result<()> {
        Ok(write_bytes(&self.0, offset, pixels)?)
    }
}

/// Decodes ahead of the training in its own threads.
pub struct Loader(clip_loader::Loader<HostTensor>);

impl Loader {
    /// Starts the threads at step `first`; for a GPU the memory is pinned.
    ///
    /// # Errors
    /// When the processes cannot share a batch equally, or there is no memory.
    pub fn start(
        sampler: &Sampler,
        options: &LoaderOptions,
        first: u64,
        device: Device,
    ) -> Result<Self> {
        let allocate =
            |shape: [usize; 4]| Ok(HostTensor(host_bytes(&shape.map(|size| size as i64), device)?));
        clip_loader::Loader::start(sampler, options, first, allocate).map(Self)
    }

    /// The next batch, after waiting for it if need be. The one before must not be used any more,
    /// nor be on its way to a GPU. While it is waited for, `give_up` hears a few times a second
    /// how many of its pairs are there; when that says yes there is no batch, and no next one.
    ///
    /// # Errors
    /// When a thread failed, or no batch is left; there is no next one then.
    pub fn next_batch(&mut self, give_up: &mut dyn FnMut(usize) -> bool) -> Result<Option<Batch>> {
        let batch = self.0.next_batch(give_up)?;
        Ok(batch.map(|batch| Batch {
            step: batch.step,
            images: batch.images.0,
            tokens: padded(&batch.texts),
            len: batch.texts.len(),
        }))
    }

    /// What was wrong with images since the last call; each was replaced by the next pair of the
    /// corpus.
    pub fn take_faults(&mut self) -> Vec<String> {
        self.0.take_faults()
    }
}

/// Token lists to [rows, longest], zero padded.
pub(crate) fn padded(texts: &[Vec<u16>]) -> Tensor {
    let (ids, length) = pad_tokens(texts);
    Tensor::from_slice(&ids).view([texts.len() as i64, length as i64])
}

#[cfg(test)]
mod tests {
    use clip_loader::{Augment, RowMemory, TrainData};

    use super::*;
    use crate::tests::corpus;

    #[test]
    fn tensors_have_the_bytes_of_the_loader() {
        let folder = tempfile::tempdir().unwrap();
        let data: TrainData = corpus(folder.path(), 90).into();
        let sampler = data.sampler(3, 40, 2, None).unwrap();
        let augment = Augment::Small(1.0);
        let options = LoaderOptions { size: 8, augment, threads: 2, ..LoaderOptions::default() };
        let mut plain =
            clip_loader::Loader::start(&sampler, &options, 1, RowMemory::of_bytes).unwrap();
        let mut loader = Loader::start(&sampler, &options, 1, Device::Cpu).unwrap();
        for step in 1..sampler.epochs().steps() {
            let wanted = plain.next_batch(&mut |_| false).unwrap().unwrap();
            let batch = loader.next_batch(&mut |_| false).unwrap().unwrap();
            assert_eq!((batch.step, batch.len, batch.images.size()), (step, 40, vec![40, 8, 8, 3]));
            let bytes: Vec<u8> = batch.images.view([-1]).try_into().unwrap();
            assert!(bytes == wanted.images.to_vec());
            let first: Vec<i64> = batch.tokens.get(0).try_into().unwrap();
            let text = &wanted.texts[0];
            assert!(first.iter().zip(text).all(|(&id, &token)| id == i64::from(token)));
            assert!(first[text.len()..].iter().all(|&id| id == 0));
        }
    }
}
