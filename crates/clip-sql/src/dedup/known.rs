//! What an existing corpus has already.

use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray};
use clip_corpus::columns;
use clip_image::HammingIndex;
use rayon::prelude::*;

use super::{Deduplicate, Files};
use crate::{Error, Result, Session, query};

/// The Parquet tables of a corpus: a table itself, or those in a folder of shards, sorted by name.
pub fn tables(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut tables = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|e| Error::io(path, e))? {
        let path = entry.map_err(|e| Error::io(path, e))?.path();
        if path.extension().is_some_and(|extension| extension == "parquet") {
            tables.push(path);
        }
    }
    tables.sort();
    if tables.is_empty() {
        return Err(Error::NoParts { table: path.display().to_string() });
    }
    Ok(tables)
}

/// Whether each image is in a known corpus: the same bytes, or a hash within the radius.
pub(super) fn find(dedup: &Deduplicate, session: &Session, files: &Files) -> Result<Vec<bool>> {
    let mut known = vec![false; files.rows.len()];
    if dedup.known.is_empty() {
        return Ok(known);
    }
    session.table("known", &dedup.known)?;
    session.each(&query("31_known_files")?, &[], |batch| {
        let rows = columns::uint64(&batch, columns::ROW);
        for row in rows.into_iter().flat_map(|rows| rows.values()) {
            known[files.place(*row)?] = true;
        }
        Ok(())
    })?;
    if dedup.radius > 0 {
        let index = HammingIndex::new(hashes(&dedup.known)?, dedup.radius);
        let near: Vec<u32> = files
            .hashes
            .par_iter()
            .filter(|(hash, _)| !index.query(*hash).is_empty())
            .map(|(_, place)| *place)
            .collect();
        near.into_iter().for_each(|place| known[place as usize] = true);
    }
    // What is known of the best file of some bytes is known of them all.
    Ok((0..known.len()).map(|at| known[at] || known[files.file[at] as usize]).collect())
}

/// The distinct hashes of tables, without those of flat images.
fn hashes(tables: &[PathBuf]) -> Result<Vec<u64>> {
    let mut hashes = Vec::new();
    for table in tables {
        for batch in clip_corpus::scan(table, &[columns::PHASH, "flat"], 65_536)? {
            let batch = batch?;
            let lost = || Error::Column {
                query: "known images".into(),
                table: table.display().to_string(),
                column: columns::PHASH.into(),
            };
            let phash = columns::uint64(&batch, columns::PHASH).ok_or_else(lost)?;
            let flat = batch.column_by_name("flat").and_then(|c| c.as_boolean_opt().cloned());
            let flat = |at| flat.as_ref().is_some_and(|flat| flat.is_valid(at) && flat.value(at));
            let usable = (0..phash.len()).filter(|&at| phash.is_valid(at) && !flat(at));
            hashes.extend(usable.map(|at| phash.value(at)));
        }
    }
    hashes.sort_unstable();
    hashes.dedup();
    Ok(hashes)
}
