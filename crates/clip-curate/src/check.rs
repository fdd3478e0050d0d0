//! Checking every image against the evaluation sets.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, RecordBatch, StringArray};
use arrow::datatypes::UInt64Type;
use clip_corpus::columns;
use clip_image::{DecodeOptions, decode, hash};
use clip_overlap::stage::{HITS, to_text};
use clip_overlap::{Checker, Hit, Judgement};
use clip_pipeline::{Error, Map, PartSink, Result};
use rayon::prelude::*;

/// Adds `overlap`, `overlap_key` and `overlap_score`: the evaluation item that an image is most
/// surely a copy of, and `overlap_all`: every such item, also those that it resembles only because
/// it shows next to nothing.
///
/// With `drop` such rows are dropped, with the reason `evaluation_copy`; otherwise they are flagged
/// and continue.
pub struct Check {
    checker: Checker,
    drop: bool,
}

impl Check {
    /// Name of the stage.
    pub const STAGE: &'static str = "check";

    /// Against the checker's sets.
    pub fn new(checker: Checker, drop: bool) -> Self {
        Self { checker, drop }
    }

    fn hits(&self, batch: &RecordBatch) -> Result<Vec<Vec<Hit>>> {
        let missing =
            |name: &str| Error::stage(Self::STAGE, format!("the input lacks the column `{name}`"));
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| missing(name));
        let images = column("image")?.as_binary_opt::<i32>().ok_or_else(|| missing("image"))?;
        let files = columns::text(batch, "blake3").ok_or_else(|| missing("blake3"))?;
        // A source's samples may state it, of the bytes as their fetch received them.
        let stated = columns::text(batch, "sha256");
        let hashes = |name: &str| {
            column(name)?.as_primitive_opt::<UInt64Type>().ok_or_else(|| missing(name))
        };
        let (phash, dhash) = (hashes("phash")?, hashes("dhash")?);
        let rows = columns::uint64(batch, columns::ROW).ok_or_else(|| missing(columns::ROW))?;
        (0..batch.num_rows())
            .into_par_iter()
            .map(|row| {
                let image = decode(images.value(row), &DecodeOptions::default())
                    .map_err(|e| Error::stage(Self::STAGE, format!("row {row}: {e}")))?;
                let own = if phash.is_valid(row) && dhash.is_valid(row) {
                    (phash.value(row), dhash.value(row))
                } else {
                    (hash::phash(&image), hash::dhash(&image))
                };
                // Of the file as it came, and of what is stored of it.
                let stored = blake3::hash(images.value(row)).to_hex();
                let stated = stated.filter(|column| column.is_valid(row));
                let stated = stated.map_or(String::new(), |c| c.value(row).to_lowercase());
                let files = [files.value(row), &stored, &stated];
                Ok(self.checker.check(&rows.value(row).to_string(), &image, own, &files))
            })
            .collect()
    }
}

impl Map for Check {
    fn needs_images(&self) -> bool {
        true
    }

    fn apply(&self, batch: RecordBatch, out: &mut PartSink) -> Result<()> {
        let hits = self.hits(&batch)?;
        // What shows next to nothing proves nothing, and stays.
        let is_copy = |hit: &&Hit| hit.judgement == Judgement::Copy;
        let copies: Vec<Option<&Hit>> = hits.iter().map(|own| own.iter().find(is_copy)).collect();
        let text = |get: fn(&Hit) -> &str| -> ArrayRef {
            Arc::new(copies.iter().map(|hit| hit.map(get)).collect::<StringArray>())
        };
        let scores: Float32Array = copies.iter().map(|hit| hit.map(|hit| hit.score)).collect();
        let all = hits.iter().map(|hits| (!hits.is_empty()).then(|| to_text(hits)));
        let mut widened = batch;
        for (name, column) in [
            ("overlap", text(|hit| &hit.set)),
            ("overlap_key", text(|hit| &hit.key)),
            ("overlap_score", Arc::new(scores) as ArrayRef),
            (HITS, Arc::new(all.collect::<StringArray>())),
        ] {
            widened = columns::with_column(&widened, name, true, column)
                .map_err(|e| Error::arrow(Self::STAGE, e))?;
        }
        if !self.drop {
            out.count_flagged(copies.iter().flatten().count() as u64);
        }
        let reason = |(hits, copy): (&Vec<Hit>, Option<&Hit>)| {
            (self.drop && copy.is_some()).then(|| ("evaluation_copy".to_owned(), to_text(hits)))
        };
        out.split(
            &widened,
            &hits.iter().zip(copies.iter().copied()).map(reason).collect::<Vec<_>>(),
        )
    }
}
