//! The images of a batch as a model takes them.

use std::sync::{Arc, Mutex, PoisonError};

use clip_image::preprocess_cfg::PreprocessCfg;

use crate::{BatchMemory, Error, Result};

/// What the pixels of an image become.
#[derive(Debug)]
pub enum PixelFormat {
    /// Bytes as they are: [height, width, 3].
    Bytes,
    /// Normalised 32-bit numbers, [3, height, width], by a table for each channel.
    Normalized(Box<[[f32; 256]; 3]>),
}

impl PixelFormat {
    /// As a model sees them: `(byte / 255 - mean) / std` in 32 bits.
    pub fn normalized(cfg: &PreprocessCfg) -> Self {
        let value = |channel: usize, byte: u8| {
            let (mean, std) = (cfg.mean[channel] as f32, cfg.std[channel] as f32);
            (f32::from(byte) / 255.0 - mean) / std
        };
        let table = |channel| std::array::from_fn(|byte| value(channel, byte as u8));
        Self::Normalized(Box::new(std::array::from_fn(table)))
    }

    /// An image's bytes in memory.
    pub fn encode(&self, pixels: &[u8]) -> Vec<u8> {
        let Self::Normalized(tables) = self else { return pixels.to_vec() };
        let plane = pixels.len() / 3 * size_of::<f32>();
        let mut bytes = vec![0; 3 * plane];
        if plane == 0 {
            return bytes;
        }
        for (channel, (plane, table)) in bytes.chunks_exact_mut(plane).zip(&**tables).enumerate() {
            let values = pixels[channel..].iter().step_by(3);
            for (value, &byte) in plane.chunks_exact_mut(size_of::<f32>()).zip(values) {
                value.copy_from_slice(&table[usize::from(byte)].to_ne_bytes());
            }
        }
        bytes
    }
}

/// The rows of a batch in memory of this process, each with a lock of its own.
pub struct RowMemory {
    rows: Arc<Vec<Mutex<Vec<u8>>>>,
    format: Arc<PixelFormat>,
}

impl RowMemory {
    /// For as many rows.
    pub fn new(rows: usize, format: &Arc<PixelFormat>) -> Self {
        let rows = (0..rows).map(|_| Mutex::default()).collect();
        Self { rows: Arc::new(rows), format: Arc::clone(format) }
    }

    /// For the rows of a shape, of pixels as they are: what [`Loader::start`](crate::Loader::start)
    /// asks for.
    ///
    /// # Errors
    /// None: other kinds of memory may be refused.
    pub fn of_bytes(shape: [usize; 4]) -> Result<Self> {
        Ok(Self::new(shape[0], &Arc::new(PixelFormat::Bytes)))
    }

    /// Bytes of all rows.
    pub fn len(&self) -> usize {
        self.rows.iter().map(|row| lock(row).len()).sum()
    }

    /// Whether no row was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows one after another.
    pub fn into_vec(self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        self.copy_to(&mut bytes);
        bytes
    }

    /// Copies the rows one after another to where there is room for all of them.
    pub fn copy_to(&self, mut bytes: &mut [u8]) {
        for row in self.rows.iter() {
            let row = lock(row);
            let (own, rest) = bytes.split_at_mut(row.len());
            own.copy_from_slice(&row);
            bytes = rest;
        }
    }
}

fn lock(row: &Mutex<Vec<u8>>) -> std::sync::MutexGuard<'_, Vec<u8>> {
    row.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BatchMemory for RowMemory {
    type Error = Error;

    fn share(&self) -> Self {
        Self { rows: Arc::clone(&self.rows), format: Arc::clone(&self.format) }
    }

    fn write(&self, offset: usize, pixels: &[u8]) -> Result<()> {
        let row = self.rows.get(offset / pixels.len().max(1));
        let row = row.ok_or_else(|| Error::Options("pixels beyond the batch".into()))?;
        let bytes = self.format.encode(pixels);
        *lock(row) = bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_planes_each_normalised_by_its_own() {
        let (mean, std) = ([0.5, 0.25, 0.0], [0.5, 1.0, 2.0]);
        let cfg = PreprocessCfg { mean, std, ..PreprocessCfg::default() };
        let memory = RowMemory::new(2, &Arc::new(PixelFormat::normalized(&cfg)));
        memory.write(6, &[0, 51, 255, 255, 0, 102]).unwrap();
        memory.write(0, &[0; 6]).unwrap();
        assert!(memory.write(12, &[0; 6]).is_err());
        let bytes = memory.into_vec();
        let value = |bytes: &[u8]| f32::from_ne_bytes(bytes.try_into().unwrap());
        let values: Vec<f32> = bytes.chunks(4).map(value).collect();
        let (low, high) = (0.2f32 - 0.25, 0.0f32 - 0.25);
        assert_eq!(values[6..], [-1.0, 1.0, low, high, 0.5, 0.4 / 2.0]);
        let plain = RowMemory::of_bytes([2, 1, 1, 3]).unwrap();
        plain.share().write(3, &[7, 8, 9]).unwrap();
        assert_eq!(plain.into_vec(), [7, 8, 9]);
    }
}
