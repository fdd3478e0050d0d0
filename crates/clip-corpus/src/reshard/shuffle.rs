//! All samples in an order that is drawn, with a small part of them in memory.
//!
//! A sample's place is a hash of the seed and its uid. Samples go to files by the first bits of
//! their places, a file that is still large is cut again by the next ones, and each is read in the
//! order of its places and removed: beside what is written there is one copy of the samples on
//! disk, which shrinks as the shards grow.

use std::path::{Path, PathBuf};

use super::spool::{Place, Spool, SpoolWriter, Stored};
use crate::{IoContext, Result, Sample};

/// Files that samples go to at a time, as bits of their places.
const BITS: u32 = 6;
/// Bytes of a file that is not cut again: reading it in any order stays in the system's cache.
pub(super) const FILE_BYTES: u64 = 256 << 20;

/// Samples on their way into another order.
pub(super) struct Shuffle {
    folder: PathBuf,
    seed: u64,
    file_bytes: u64,
    number: u64,
    files: Files,
}

impl Shuffle {
    /// Samples wait in `folder`, which is emptied first and removed at the end.
    pub fn new(folder: PathBuf, seed: u64, file_bytes: u64) -> Result<Self> {
        // What a killed process left.
        if folder.exists() {
            std::fs::remove_dir_all(&folder).at(&folder)?;
        }
        std::fs::create_dir_all(&folder).at(&folder)?;
        let files = Files::new(&folder, "s");
        Ok(Self { folder, seed, file_bytes, number: 0, files })
    }

    /// Takes a sample under its uid; `copy` is its number among those with one uid that are wanted
    /// several times.
    pub fn push(&mut self, sample: &Sample, id: &str, copy: u64, row: Option<&[u8]>) -> Result<()> {
        let draw = draw(self.seed, id, copy);
        let place = Place { draw, id: id.to_owned(), number: self.number };
        self.number += 1;
        self.files.of(draw, 0)?.sample(&place, sample, row)
    }

    /// Visits all samples in their new order.
    pub fn for_each(mut self, mut visit: impl FnMut(Stored) -> Result<()>) -> Result<()> {
        let files = std::mem::replace(&mut self.files, Files::new(&self.folder, "s"));
        for_each(&self.folder, files.finish()?, 1, self.file_bytes, &mut visit)
    }
}

impl Drop for Shuffle {
    fn drop(&mut self) {
        // What stays is removed by the next run.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn for_each(
    folder: &Path,
    spools: Vec<(String, Spool)>,
    level: u32,
    file_bytes: u64,
    visit: &mut dyn FnMut(Stored) -> Result<()>,
) -> Result<()> {
    for (name, spool) in spools {
        if spool.bytes() > file_bytes && (level + 1) * BITS <= u64::BITS {
            let mut files = Files::new(folder, &name);
            spool
                .for_each(|place, content| files.of(place.draw, level)?.content(place, content))?;
            std::fs::remove_file(spool.path()).at(spool.path())?;
            for_each(folder, files.finish()?, level + 1, file_bytes, visit)?;
        } else {
            spool.for_each_sorted(&mut *visit)?;
            std::fs::remove_file(spool.path()).at(spool.path())?;
        }
    }
    Ok(())
}

/// Files that samples are cut into, made as they are needed.
struct Files {
    folder: PathBuf,
    name: String,
    open: Vec<Option<SpoolWriter>>,
}

impl Files {
    fn new(folder: &Path, name: &str) -> Self {
        let open = (0..1 << BITS).map(|_| None).collect();
        Self { folder: folder.to_path_buf(), name: name.to_owned(), open }
    }

    /// The file of a place, by its bits behind those of `level` cuts before.
    fn of(&mut self, draw: u64, level: u32) -> Result<&mut SpoolWriter> {
        let at = (draw << (level * BITS) >> (u64::BITS - BITS)) as usize;
        Ok(match &mut self.open[at] {
            Some(file) => file,
            slot => {
                let path = self.folder.join(format!("{}-{at:02}", self.name));
                slot.insert(SpoolWriter::create(path)?)
            }
        })
    }

    /// The files in the order of their places, each with its name.
    fn finish(self) -> Result<Vec<(String, Spool)>> {
        let name = self.name;
        let open = self.open.into_iter().enumerate();
        let finish = |(at, file): (usize, Option<SpoolWriter>)| {
            file.map(|file| Ok((format!("{name}-{at:02}"), file.finish()?)))
        };
        open.filter_map(finish).collect()
    }
}

/// A place that depends on its arguments alone.
fn draw(seed: u64, id: &str, copy: u64) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(&copy.to_le_bytes()).update(id.as_bytes());
    let bytes = hasher.finalize();
    u64::from_le_bytes(bytes.as_bytes().first_chunk().copied().unwrap_or_default())
}
