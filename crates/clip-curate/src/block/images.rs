//! Images that a row must not have, by their hashes.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch};
use clip_corpus::columns;
use clip_image::hash::pdq::Pdq;
use clip_image::{DecodeOptions, HammingIndex, decode};
use clip_pipeline::config::corpus::Block;
use clip_pipeline::{Error, Map, PartSink, Result};
use rayon::prelude::*;

use super::list::{Lists, Place, first_word, hex};

/// PDQ hashes of images with less detail say nothing (Meta's own threshold).
const LEAST_QUALITY: u8 = 50;

/// Drops rows whose image has a hash of the lists of `[block]`: `blocked_sha256`, `blocked_phash`
/// and `blocked_pdq`, with the entry.
///
/// SHA-256 is of the bytes as they came, pHash of their pixels, PDQ of the stored image.
pub struct BlockImages {
    lists: Lists,
    sha256: HashMap<[u64; 4], Place>,
    phash: HammingIndex,
    phash_places: Vec<Place>,
    pdq: Vec<([u64; 4], Place)>,
    pdq_radius: u32,
}

impl BlockImages {
    /// Name of the stage.
    pub const STAGE: &'static str = "block_images";

    /// Reads the lists, whose paths must be the files' own.
    ///
    /// # Errors
    /// Naming file and line of what is no hash.
    pub fn open(block: &Block) -> Result<Self> {
        let mut lists = Lists::default();
        let mut sha256 = HashMap::new();
        lists.read(&block.sha256, |text, place| {
            sha256.entry(hex(first_word(text))?).or_insert(place);
            Ok(())
        })?;
        let (mut hashes, mut phash_places) = (Vec::new(), Vec::new());
        lists.read(&block.phash, |text, place| {
            let [hash] = hex(first_word(text))?;
            hashes.push(hash);
            phash_places.push(place);
            Ok(())
        })?;
        let mut pdq = Vec::new();
        lists.read(&block.pdq, |text, place| {
            pdq.push((hex(first_word(text))?, place));
            Ok(())
        })?;
        let phash = HammingIndex::new(hashes, block.phash_radius());
        Ok(Self { lists, sha256, phash, phash_places, pdq, pdq_radius: block.pdq_radius() })
    }

    fn detail(&self, place: Place, distance: u32) -> String {
        let at = self.lists.name(place);
        if distance == 0 { at } else { format!("{at}, {distance} bits apart") }
    }

    fn by_sha256(&self, sha256: &str) -> Option<(String, String)> {
        let place = self.sha256.get(&hex::<4>(sha256).ok()?)?;
        Some(("blocked_sha256".into(), self.detail(*place, 0)))
    }

    fn by_phash(&self, hash: u64) -> Option<(String, String)> {
        let found = self.phash.query(hash);
        let (at, distance) = found.into_iter().min_by_key(|(_, distance)| *distance)?;
        Some(("blocked_phash".into(), self.detail(self.phash_places[at as usize], distance)))
    }

    fn by_pdq(&self, image: &[u8]) -> Result<Option<(String, String)>> {
        let image = decode(image, &DecodeOptions::default());
        let pdq = Pdq::of(&image.map_err(|e| Error::stage(Self::STAGE, e))?);
        if pdq.quality < LEAST_QUALITY {
            return Ok(None);
        }
        let distance = |bits: &[u64; 4]| -> u32 {
            bits.iter().zip(&pdq.bits).map(|(a, b)| (a ^ b).count_ones()).sum()
        };
        let distances = self.pdq.iter().map(|(bits, place)| (distance(bits), *place));
        let nearest = distances.min_by_key(|(distance, _)| *distance);
        let nearest = nearest.filter(|(distance, _)| *distance <= self.pdq_radius);
        Ok(nearest.map(|(distance, place)| ("blocked_pdq".into(), self.detail(place, distance))))
    }
}

impl Map for BlockImages {
    fn needs_images(&self) -> bool {
        !self.pdq.is_empty()
    }

    fn apply(&self, batch: RecordBatch, out: &mut PartSink) -> Result<()> {
        let missing =
            |name: &str| Error::stage(Self::STAGE, format!("the input lacks the column `{name}`"));
        let sha256 = columns::text(&batch, "sha256").ok_or_else(|| missing("sha256"))?;
        let phash = columns::uint64(&batch, columns::PHASH).ok_or_else(|| missing("phash"))?;
        // An image that shows next to nothing has a hash of chance.
        let flat = batch.column_by_name("flat").and_then(|column| column.as_boolean_opt());
        let images = batch.column_by_name(columns::IMAGE).and_then(|c| c.as_binary_opt::<i32>());
        let reasons: Vec<_> = (0..batch.num_rows())
            .into_par_iter()
            .map(|row| {
                let known = sha256.is_valid(row).then(|| self.by_sha256(sha256.value(row)));
                if let Some(Some(reason)) = known {
                    return Ok(Some(reason));
                }
                let flat = flat.is_some_and(|flat| flat.is_valid(row) && flat.value(row));
                if phash.is_valid(row)
                    && !flat
                    && let Some(reason) = self.by_phash(phash.value(row))
                {
                    return Ok(Some(reason));
                }
                match images {
                    Some(images) if !self.pdq.is_empty() => self.by_pdq(images.value(row)),
                    _ => Ok(None),
                }
            })
            .collect::<Result<_>>()?;
        out.split(&batch, &reasons)
    }
}
