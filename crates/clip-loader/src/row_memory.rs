//! The images of a batch as a model takes them.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use clip_image::preprocess_cfg::PreprocessCfg;

use crate::{BatchMemory, Error, Result};

/// Memory that is kept for a later batch after its last user is gone, in batches.
const SPARE: usize = 2;

/// What the pixels of an image become.
#[derive(Debug)]
pub enum PixelFormat {
    /// Bytes as they are: [height, width, 3].
    Bytes,
    /// Normalised 32-bit numbers, [3, height, width], by a table of their bits for each channel.
    Normalized(Box<[[u32; 256]; 3]>),
}

impl PixelFormat {
    /// As a model sees them: `(byte / 255 - mean) / std` in 32 bits.
    pub fn normalized(cfg: &PreprocessCfg) -> Self {
        let value = |channel: usize, byte: u8| {
            let (mean, std) = (cfg.mean[channel] as f32, cfg.std[channel] as f32);
            ((f32::from(byte) / 255.0 - mean) / std).to_bits()
        };
        let table = |channel| std::array::from_fn(|byte| value(channel, byte as u8));
        Self::Normalized(Box::new(std::array::from_fn(table)))
    }

    /// An image's bytes in memory.
    pub fn encode(&self, pixels: &[u8]) -> Vec<u8> {
        let Self::Normalized(tables) = self else { return pixels.to_vec() };
        let mut bytes = Vec::with_capacity(size_of::<f32>() * pixels.len());
        for (channel, table) in tables.iter().enumerate() {
            let values = pixels.iter().skip(channel).step_by(3);
            bytes.extend(values.flat_map(|&byte| table[usize::from(byte)].to_ne_bytes()));
        }
        bytes
    }
}

/// The images of a batch, one after another. Threads fill rows of their own at a time, which
/// atomics allow without a lock.
enum Images {
    Bytes(Box<[AtomicU8]>),
    Floats(Box<[AtomicU32]>),
}

impl Images {
    fn new(pixels: usize, format: &PixelFormat) -> Self {
        match format {
            PixelFormat::Bytes => Self::Bytes((0..pixels).map(|_| AtomicU8::new(0)).collect()),
            PixelFormat::Normalized(_) => {
                Self::Floats((0..pixels).map(|_| AtomicU32::new(0)).collect())
            }
        }
    }
}

/// The images of a batch, kept for a later one when the last user lets go of them.
struct Recycled {
    images: Images,
    spare: Arc<Mutex<Vec<Images>>>,
}

impl Drop for Recycled {
    fn drop(&mut self) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE {
            spare.push(std::mem::replace(&mut self.images, Images::Bytes(Box::default())));
        }
    }
}

/// Memory of this process for the images of a batch. Whoever has a handle of it has its batch: the
/// next one is written elsewhere.
pub struct RowMemory {
    recycled: Arc<Recycled>,
    format: Arc<PixelFormat>,
    pixels: usize,
}

impl RowMemory {
    /// For a batch of [rows, height, width, 3].
    pub fn new(shape: [usize; 4], format: &Arc<PixelFormat>) -> Self {
        let (pixels, format) = (shape.iter().product(), Arc::clone(format));
        let images = Images::new(pixels, &format);
        Self { recycled: Arc::new(Recycled { images, spare: Arc::default() }), format, pixels }
    }

    /// Of pixels as they are: what [`Loader::start`](crate::Loader::start) asks for.
    ///
    /// # Errors
    /// None: other kinds of memory may be refused.
    pub fn of_bytes(shape: [usize; 4]) -> Result<Self> {
        Ok(Self::new(shape, &Arc::new(PixelFormat::Bytes)))
    }

    /// Where the first image begins.
    pub fn as_ptr(&self) -> *const u8 {
        match &self.recycled.images {
            Images::Bytes(bytes) => bytes.as_ptr().cast(),
            Images::Floats(floats) => floats.as_ptr().cast(),
        }
    }

    /// Copies the images.
    pub fn to_vec(&self) -> Vec<u8> {
        match &self.recycled.images {
            Images::Bytes(bytes) => bytes.iter().map(|byte| byte.load(Ordering::Relaxed)).collect(),
            Images::Floats(floats) => {
                floats.iter().flat_map(|bits| bits.load(Ordering::Relaxed).to_ne_bytes()).collect()
            }
        }
    }
}

impl BatchMemory for RowMemory {
    type Error = Error;

    fn share(&self) -> Self {
        let (recycled, format) = (Arc::clone(&self.recycled), Arc::clone(&self.format));
        Self { recycled, format, pixels: self.pixels }
    }

    fn renew(self) -> Self {
        if Arc::strong_count(&self.recycled) == 1 {
            return self;
        }
        let spare = Arc::clone(&self.recycled.spare);
        let images = spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let images = images.unwrap_or_else(|| Images::new(self.pixels, &self.format));
        Self { recycled: Arc::new(Recycled { images, spare }), ..self }
    }

    fn write(&self, offset: usize, pixels: &[u8]) -> Result<()> {
        let beyond = || Error::Options("pixels beyond the batch".into());
        let own = offset..offset + pixels.len();
        match (&self.recycled.images, &*self.format) {
            (Images::Bytes(bytes), _) => {
                let bytes = bytes.get(own).ok_or_else(beyond)?;
                for (byte, &pixel) in bytes.iter().zip(pixels) {
                    byte.store(pixel, Ordering::Relaxed);
                }
            }
            (Images::Floats(floats), PixelFormat::Normalized(tables)) => {
                let floats = floats.get(own).ok_or_else(beyond)?;
                let (red, rest) = floats.split_at(pixels.len() / 3);
                let (green, blue) = rest.split_at(pixels.len() / 3);
                let planes = red.iter().zip(green).zip(blue);
                for (((red, green), blue), pixel) in planes.zip(pixels.as_chunks::<3>().0) {
                    let bits = |channel: usize| tables[channel][usize::from(pixel[channel])];
                    red.store(bits(0), Ordering::Relaxed);
                    green.store(bits(1), Ordering::Relaxed);
                    blue.store(bits(2), Ordering::Relaxed);
                }
            }
            (Images::Floats(_), PixelFormat::Bytes) => return Err(beyond()),
        }
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
        let memory = RowMemory::new([2, 1, 2, 3], &Arc::new(PixelFormat::normalized(&cfg)));
        memory.write(6, &[0, 51, 255, 255, 0, 102]).unwrap();
        memory.write(0, &[0; 6]).unwrap();
        assert!(memory.write(12, &[0; 6]).is_err());
        let bytes = memory.to_vec();
        let encoded = memory.format.encode(&[0, 51, 255, 255, 0, 102]);
        assert_eq!(encoded, bytes[bytes.len() / 2..]);
        let value = |bytes: &[u8]| f32::from_ne_bytes(bytes.try_into().unwrap());
        let values: Vec<f32> = bytes.chunks(4).map(value).collect();
        let (low, high) = (0.2f32 - 0.25, 0.0f32 - 0.25);
        assert_eq!(values[6..], [-1.0, 1.0, low, high, 0.5, 0.4 / 2.0]);
        let plain = RowMemory::of_bytes([2, 1, 1, 3]).unwrap();
        plain.share().write(3, &[7, 8, 9]).unwrap();
        assert_eq!(plain.to_vec(), [0, 0, 0, 7, 8, 9]);
    }

    #[test]
    fn a_batch_that_is_kept_is_not_written_again_and_one_that_is_not_is() {
        let first = RowMemory::of_bytes([1, 1, 1, 3]).unwrap();
        first.write(0, &[1, 2, 3]).unwrap();
        let (kept, place) = (first.share(), first.as_ptr());
        let second = first.renew();
        second.write(0, &[4, 5, 6]).unwrap();
        assert_eq!((kept.to_vec(), second.to_vec()), (vec![1, 2, 3], vec![4, 5, 6]));
        drop(kept);
        let other = second.share();
        assert_eq!(second.renew().as_ptr(), place);
        let own = other.as_ptr();
        assert_eq!(other.renew().as_ptr(), own);
    }
}
