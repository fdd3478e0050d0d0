//! What an existing corpus has already.

use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray};
use clip_corpus::columns;
use clip_image::HammingIndex;

use super::options::Deduplicate;
use super::records::{List, ListWriter, Scratch};
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

/// Rows of images with the same bytes as one of a known corpus, in order.
pub(super) fn same_bytes(
    dedup: &Deduplicate,
    session: &Session,
    scratch: &Scratch,
) -> Result<List<1>> {
    let mut found = ListWriter::new(scratch)?;
    if !dedup.known.is_empty() {
        session.foreign_table("known", &dedup.known)?;
        session.each(&query("31_known_files")?, &[], |batch| {
            let rows = columns::uint64(&batch, columns::ROW);
            let mut rows = rows.into_iter().flat_map(|rows| rows.values());
            rows.try_for_each(|row| found.push([*row]))
        })?;
    }
    found.finish()
}

/// The hashes of known corpora, where near copies of them count: some 30 bytes each in memory.
pub(super) fn index(dedup: &Deduplicate) -> Result<Option<HammingIndex>> {
    if dedup.known.is_empty() || dedup.radius == 0 {
        return Ok(None);
    }
    Ok(Some(HammingIndex::new(hashes(&dedup.known)?, dedup.radius)))
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
