//! Thumbs of the images that are compared, in a file: memory holds where each lies.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use arrow::array::AsArray;
use clip_corpus::columns;
use clip_pipeline::{Context, PartInfo};
use rayon::prelude::*;

use super::{Compare, Files};
use crate::{Error, Result};

/// Images that are read and shrunk at a time.
const BATCH: usize = 256;

/// Where the thumb of each place lies.
pub(super) struct Thumbs {
    file: File,
    path: PathBuf,
    /// Place, offset, length; by place.
    entries: Vec<(u32, u64, u32)>,
}

impl Thumbs {
    /// Makes the thumbs of `places` (ascending) from the images beside the parts.
    pub fn make(
        compare: &dyn Compare,
        files: &Files,
        places: &[u32],
        inputs: &[PartInfo],
        cx: &Context,
    ) -> Result<Self> {
        let path = cx.scratch().join("thumbs");
        let failed = |e| Error::io(&path, e);
        let mut entries = Vec::with_capacity(places.len());
        let mut offset = 0;
        let mut writer = BufWriter::new(File::create(&path).map_err(failed)?);
        let place = |row: u64| {
            let place = files.rows.binary_search(&row).ok()? as u32;
            places.binary_search(&place).is_ok().then_some(place)
        };
        for images in inputs.iter().filter_map(|input| input.images.as_ref()) {
            for batch in clip_corpus::scan(images, &[columns::ROW, columns::IMAGE], BATCH)? {
                let batch = batch?;
                if cx.cancelled() {
                    return Err(Error::result("dedup", "interrupted"));
                }
                let lost = || Error::result("dedup", format!("{}: no images", images.display()));
                let rows = columns::uint64(&batch, columns::ROW).ok_or_else(lost)?;
                let bytes = batch.column_by_name(columns::IMAGE);
                let bytes = bytes.and_then(|c| c.as_binary_opt::<i32>()).ok_or_else(lost)?;
                let thumbs: Vec<(u32, Vec<u8>)> = (0..rows.len())
                    .into_par_iter()
                    .filter_map(|at| {
                        Some((place(rows.value(at))?, compare.thumb(bytes.value(at))?))
                    })
                    .collect();
                for (place, thumb) in thumbs {
                    writer.write_all(&thumb).map_err(failed)?;
                    entries.push((place, offset, thumb.len() as u32));
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

    /// Whether two images are alike; their hashes are believed where one has no thumb.
    pub fn alike(&self, compare: &dyn Compare, a: u32, b: u32) -> bool {
        match (self.read(a), self.read(b)) {
            (Some(a), Some(b)) => compare.alike(&a, &b),
            _ => true,
        }
    }

    fn read(&self, place: u32) -> Option<Vec<u8>> {
        let at = self.entries.binary_search_by_key(&place, |(place, ..)| *place).ok()?;
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
