//! Removing the rows of some uids from what is stored.

mod array;
mod embeddings;
mod shard;
mod statistics;
mod table;

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

pub use array::{npy_rows, npy_without};
pub use embeddings::{check_embeddings, count_in_embeddings, forget_embeddings};
pub(crate) use shard::uid_of;
pub use shard::{count_in_shard, forget_in_shard, holds, lacks_uids};
pub use statistics::{NOT_ASKED, status_key};
pub use table::{check_table, copy_without, find_rows, forget_in_table, texts_at};

use clip_format::FileKind;

use crate::{Error, IoContext, Result, read_subset, subset_ids, uid_number, write_subset};

/// What a uid is.
const DIGITS: &str = "hint: 32 hex digits, as tables have them in the column `uid`, and as `clip-data explain URL` prints them";

const LISTS: &str = "hint: text with a uid a line, or a subset file (.npy): `clip-data subset TABLE --out uids.npy` writes the uids of a table";
/// Characters of a line that are shown.
const SHOWN: usize = 80;

/// Rows to remove, by their uids, and those of them that a row was found of.
#[derive(Debug, Default)]
pub struct Uids {
    all: HashSet<u128>,
    found: Mutex<HashSet<u128>>,
}

impl Uids {
    /// Reads a text file with a uid a line, 32 hex digits in either case (`#` begins a comment), or
    /// a subset file (`.npy`).
    ///
    /// # Errors
    /// When the file cannot be read, has a line that is no uid, or names none.
    pub fn read(path: &Path) -> Result<Self> {
        let mut uids = HashSet::new();
        if path.extension().is_some_and(|extension| extension == "npy") {
            uids.extend(read_subset(path)?);
        } else {
            let mut file = BufReader::new(std::fs::File::open(path).at(path)?);
            let spec = path.display().to_string();
            let kind = FileKind::of(path, file.fill_buf().at(path)?);
            if let Some(kind) = kind.filter(|kind| !kind.is_text()) {
                let (path, wanted) = (path.to_path_buf(), "a list of uids");
                return Err(Error::WrongKind { path, kind, wanted, hint: LISTS });
            }
            clip_guard::read_lines(file, |number, line| {
                let refused = |why: String| std::io::Error::other(format!("line {number}: {why}"));
                let text = String::from_utf8_lossy(line.map_err(refused)?);
                let text = text.trim();
                if !text.is_empty() && !text.starts_with('#') {
                    let shown: String = text.chars().take(SHOWN).collect();
                    let more = if shown.len() < text.len() { "…" } else { "" };
                    let odd = || refused(format!("{shown:?}{more} is no uid\n{DIGITS}"));
                    uids.insert(uid_number(text).ok_or_else(odd)?);
                }
                Ok(())
            })
            .map_err(|e: std::io::Error| Error::Spec { spec, reason: e.to_string() })?;
        }
        if uids.is_empty() {
            let reason = "no uid\nhint: a uid a line, or a subset file (.npy)".to_owned();
            return Err(Error::Spec { spec: path.display().to_string(), reason });
        }
        Ok(Self { all: uids, found: Mutex::default() })
    }

    /// Whether a row has one of them.
    pub fn contains(&self, uid: &str) -> bool {
        uid_number(uid).is_some_and(|uid| self.has(uid))
    }

    fn has(&self, uid: u128) -> bool {
        let has = self.all.contains(&uid);
        if has {
            self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(uid);
        }
        has
    }

    /// How many of them a row was found of so far.
    pub fn found(&self) -> usize {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// Removes uids from a subset file; returns how many entries went.
///
/// # Errors
/// When the file cannot be read or written.
pub fn forget_in_subset(path: &Path, uids: &Uids) -> Result<u64> {
    let removed = count_in_subset(path, uids)?;
    if removed > 0 {
        let kept = |id: &u128| !uids.has(*id);
        let ids: Vec<u128> = read_subset(path)?.into_iter().filter(kept).collect();
        write_subset(path, &ids)?;
    }
    Ok(removed)
}

/// How many entries [`forget_in_subset`] removes.
///
/// # Errors
/// When the file cannot be read.
pub fn count_in_subset(path: &Path, uids: &Uids) -> Result<u64> {
    let mut count = 0;
    for id in subset_ids(path)? {
        count += u64::from(uids.has(id?));
    }
    Ok(count)
}
