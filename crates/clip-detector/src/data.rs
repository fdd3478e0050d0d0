//! The images that a detector is trained on, small and in memory.

use clip_image::{DecodeOptions, Rgb, decode};
use clip_overlap::corpus::{CorpusRow, units};
use clip_overlap::shrink;
use rayon::prelude::*;

use crate::{Error, Result};

/// Images decoded at a time.
const CHUNK: usize = 512;

/// Images of a corpus.
pub struct TrainingImages {
    images: Vec<Rgb>,
    /// Images that could not be decoded.
    pub unreadable: usize,
}

impl TrainingImages {
    /// Reads at most `most` images of a corpus (as `clip-data contamination --corpus` takes it),
    /// evenly over it by the hash of their bytes, each shrunk so that its longer side is at
    /// most `side`.
    ///
    /// Equal files count once: an image among its own negatives would teach that copies differ.
    pub fn open(
        specs: &[String],
        most: usize,
        side: u32,
        progress: &dyn Fn(usize),
    ) -> Result<Self> {
        let mut all = Self { images: Vec::new(), unreadable: 0 };
        let mut kept: Vec<[u8; 32]> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for unit in specs
            .iter()
            .map(|spec| units(spec))
            .collect::<std::result::Result<Vec<_>, _>>()?
            .concat()
        {
            let mut chunk: Vec<CorpusRow> = Vec::new();
            unit.each(&mut |row| {
                chunk.push(row);
                if chunk.len() == CHUNK {
                    all.take(std::mem::take(&mut chunk), side, &mut kept, &mut known);
                    all.thin(most, &mut kept);
                    progress(all.images.len());
                }
                Ok(true)
            })?;
            all.take(chunk, side, &mut kept, &mut known);
            all.thin(most, &mut kept);
        }
        // The order of what is left must not depend on how the corpus is cut into files.
        let mut sorted: Vec<_> = kept.into_iter().zip(std::mem::take(&mut all.images)).collect();
        sorted.sort_by_key(|kept| kept.0);
        sorted.truncate(most);
        all.images = sorted.into_iter().map(|(_, image)| image).collect();
        if all.images.len() < 16 {
            let count = all.images.len();
            return Err(Error::Data(format!("{count} images are too few to train a detector on")));
        }
        Ok(all)
    }

    fn take(
        &mut self,
        chunk: Vec<CorpusRow>,
        side: u32,
        kept: &mut Vec<[u8; 32]>,
        known: &mut std::collections::HashSet<[u8; 32]>,
    ) {
        let options = DecodeOptions { min_side: Some(side), ..DecodeOptions::default() };
        let made: Vec<_> = chunk
            .par_iter()
            .filter_map(|row| row.image.as_ref())
            .map(|bytes| {
                let image = decode(bytes, &options).ok().map(|image| shrink(&image, side));
                (*blake3::hash(bytes).as_bytes(), image)
            })
            .collect();
        for (hash, image) in made {
            match image {
                None => self.unreadable += 1,
                Some(image) if known.insert(hash) => {
                    self.images.push(image);
                    kept.push(hash);
                }
                Some(_) => {}
            }
        }
    }

    /// Keeps the images with the lowest hashes, once there are twice as many as wanted.
    fn thin(&mut self, most: usize, kept: &mut Vec<[u8; 32]>) {
        if self.images.len() < 2 * most.max(CHUNK) {
            return;
        }
        let mut all: Vec<_> = kept.drain(..).zip(self.images.drain(..)).collect();
        all.sort_by_key(|kept| kept.0);
        all.truncate(most);
        (*kept, self.images) = all.into_iter().unzip();
    }

    /// The images.
    pub fn all(&self) -> &[Rgb] {
        &self.images
    }
}
