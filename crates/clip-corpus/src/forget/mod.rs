//! Removing the rows of some uids from what is stored.

mod array;
mod embeddings;
mod shard;
mod table;

use std::collections::HashSet;
use std::io::BufReader;
use std::path::Path;

pub use array::{npy_rows, npy_without};
pub use embeddings::forget_embeddings;
pub(crate) use shard::uid_of;
pub use shard::{forget_in_shard, holds};
pub use table::{copy_without, find_rows, forget_in_table};

use crate::{Error, IoContext, Result, read_subset, subset_ids, write_subset};

/// Rows to remove, by their uids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uids(HashSet<String>);

impl Uids {
    /// Reads a text file with a uid a line (`#` begins a comment), or a subset file (`.npy`).
    ///
    /// # Errors
    /// When the file cannot be read or names none.
    pub fn read(path: &Path) -> Result<Self> {
        let mut uids = HashSet::new();
        if path.extension().is_some_and(|extension| extension == "npy") {
            uids.extend(read_subset(path)?.into_iter().map(|id| format!("{id:032x}")));
        } else {
            let file = std::fs::File::open(path).at(path)?;
            let spec = path.display().to_string();
            clip_guard::read_lines(BufReader::new(file), |_, line| {
                let line = line.map_err(std::io::Error::other)?;
                let line = std::str::from_utf8(line).map_err(std::io::Error::other)?.trim();
                if !line.is_empty() && !line.starts_with('#') {
                    uids.insert(line.to_owned());
                }
                Ok(())
            })
            .map_err(|e: std::io::Error| Error::Spec { spec, reason: e.to_string() })?;
        }
        if uids.is_empty() {
            let reason = "no uid\nhint: a uid a line, or a subset file (.npy)".to_owned();
            return Err(Error::Spec { spec: path.display().to_string(), reason });
        }
        Ok(Self(uids))
    }

    /// Whether a row has one of them.
    pub fn contains(&self, uid: &str) -> bool {
        self.0.contains(uid)
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<String> for Uids {
    fn from_iter<T: IntoIterator<Item = String>>(uids: T) -> Self {
        Self(uids.into_iter().collect())
    }
}

/// Removes uids from a subset file; returns how many entries went.
///
/// # Errors
/// When the file cannot be read or written.
pub fn forget_in_subset(path: &Path, uids: &Uids) -> Result<u64> {
    let kept = |id: &u128| !uids.contains(&format!("{id:032x}"));
    let mut removed = 0;
    for id in subset_ids(path)? {
        removed += u64::from(!kept(&id?));
    }
    if removed > 0 {
        let ids: Vec<u128> = read_subset(path)?.into_iter().filter(kept).collect();
        write_subset(path, &ids)?;
    }
    Ok(removed)
}
