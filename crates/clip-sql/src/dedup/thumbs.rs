//! Thumbs of the images that are compared, in a file: memory holds where each is.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use arrow::array::AsArray;
use clip_corpus::columns;
use clip_pipeline::{Context, PartInfo};
use rayon::prelude::*;

use super::options::Compare;
use crate::{Error, Result};

/// Images that are read and shrunk at a time.
const BATCH: usize = 256;

/// Where the thumb of each row is.
pub(super) struct Thumbs {
    file: File,
    path: PathBuf,
    /// Row, offset, length; by row.
    entries: Vec<(u64, u64, u32)>,
}

impl Thumbs {
    /// Makes the thumbs of `rows` (ascending) from the images beside the parts.
    pub fn make(
        compare: &dyn Compare,
        rows: &[u64],
        inputs: &[PartInfo],
        cx: &Context,
    ) -> Result<Self> {
        let path = cx.scratch().join("thumbs");
        let failed = |e| Error::io(&path, e);
        let mut entries = Vec::with_capacity(rows.len());
        let mut offset = 0;
        let mut writer = BufWriter::new(File::create(&path).map_err(failed)?);
        for images in inputs.iter().filter_map(|input| input.images.as_ref()) {
            for batch in clip_corpus::scan(images, &[columns::ROW, columns::IMAGE], BATCH)? {
                let batch = batch?;
                if cx.cancelled() {
                    return Err(Error::result("dedup", "interrupted"));
                }
                let lost = || Error::result("dedup", format!("{}: no images", images.display()));
                let found = columns::uint64(&batch, columns::ROW).ok_or_else(lost)?;
                let bytes = batch.column_by_name(columns::IMAGE);
                let bytes = bytes.and_then(|c| c.as_binary_opt::<i32>()).ok_or_else(lost)?;
                let thumbs: Vec<(u64, Vec<u8>)> = (0..found.len())
                    .into_par_iter()
                    .filter(|&at| rows.binary_search(&found.value(at)).is_ok())
                    .filter_map(|at| Some((found.value(at), compare.thumb(bytes.value(at))?)))
                    .collect();
                for (row, thumb) in thumbs {
                    writer.write_all(&thumb).map_err(failed)?;
                    entries.push((row, offset, thumb.len() as u32));
                    offset += thumb.len() as u64;
                }
            }
        }
        writer.flush().map_err(failed)?;
        drop(writer);
        let file = File::open(&path).map_err(failed)?;
        entries.sort_unstable();
        Ok(Self { file, path, entries })
    }

    /// Whether the images of two rows are alike; their hashes are believed where one has no thumb.
    pub fn alike(&self, compare: &dyn Compare, a: u64, b: u64) -> bool {
        match (self.read(a), self.read(b)) {
            (Some(a), Some(b)) => compare.alike(&a, &b),
            _ => true,
        }
    }

    fn read(&self, row: u64) -> Option<Vec<u8>> {
        let at = self.entries.binary_search_by_key(&row, |(row, ..)| *row).ok()?;
        let (_, offset, length) = self.entries[at];
        let mut thumb = vec![0; length as usize];
        self.file.read_exact_at(&mut thumb, offset).ok()?;
        Some(thumb)
    }
}

impl Drop for Thumbs {
    fn drop(&mut self) {
        // A leftover is overwritten by the next run.
        let _ = std::fs::remove_file(&self.path);
    }
}
