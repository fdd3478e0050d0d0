//! Whether tables and arrays are whole that are no shards: what `embed` and `score` write.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::verify::{Verified, verify_subset, verify_table};
use crate::{EmbeddingNames, Result, is_shard, npy_rows, parquet_rows};

/// Verifies the tables and arrays of a folder, at any depth, and that embeddings have a row for
/// each of their metadata. None where it has shards, or neither.
///
/// # Errors
/// When the folder cannot be read.
pub fn verify_tables(folder: &Path) -> Result<Option<Verified>> {
    let files = clip_guard::files(folder);
    let files = files.map_err(|(path, error)| clip_format::PathError::new(&path, error))?;
    if files.iter().any(|file| is_shard(file)) {
        return Ok(None);
    }
    let mut all = Verified::default();
    let name =
        |table: &PathBuf| table.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let embedded = files.iter().filter_map(|table| EmbeddingNames::of_metadata(&name(table)));
    let arrays: HashSet<PathBuf> =
        embedded.flat_map(|names| names.arrays().map(|array| folder.join(array))).collect();
    for file in &files {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => all.add(verify_table(file)),
            // Their rows are those of their metadata.
            Some("npy") if arrays.contains(file) => {
                all.add(Verified { rows: 0, ..verify_subset(file) });
            }
            Some("npy") => all.add(verify_subset(file)),
            _ => {}
        }
    }
    for table in &files {
        embeddings(folder, table, &mut all);
    }
    all.missing += missing_parts(folder);
    Ok((all.files > 0).then_some(all))
}

/// How many parts `embed` or `score` will have written at their end.
const PARTS: &str = "stats/parts.json";

#[derive(Serialize, Deserialize)]
struct PartCount {
    parts: u64,
}

/// Notes how many parts a folder will have, before the first is written.
///
/// # Errors
/// When the file cannot be written.
pub fn write_part_count(folder: &Path, parts: usize) -> Result<()> {
    let text = serde_json::json!(PartCount { parts: parts as u64 }).to_string();
    Ok(clip_format::write_atomic(&folder.join(PARTS), text.as_bytes())?)
}

/// Parts of a folder of `embed` or `score` that are not done: each that is has
/// `stats/NUMBER.json`.
pub fn missing_parts(folder: &Path) -> u64 {
    let count = std::fs::read(folder.join(PARTS)).ok();
    let Some(count) = count.and_then(|text| serde_json::from_slice::<PartCount>(&text).ok()) else {
        return 0;
    };
    let stats = std::fs::read_dir(folder.join("stats")).into_iter().flatten().flatten();
    let is_number = |name: &str| {
        let stem = name.strip_suffix(".json").unwrap_or_default();
        !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_digit())
    };
    let done = stats.filter(|file| is_number(&file.file_name().to_string_lossy())).count();
    count.parts.saturating_sub(done as u64)
}

/// Notes arrays that have other rows than their metadata.
fn embeddings(folder: &Path, table: &Path, all: &mut Verified) {
    let name = table.file_name().unwrap_or_default().to_string_lossy();
    let Some(files) = EmbeddingNames::of_metadata(&name) else { return };
    let Ok(rows) = parquet_rows(table) else { return };
    for array in files.arrays().map(|array| -> PathBuf { folder.join(array) }) {
        if let Ok(own) = npy_rows(&array)
            && own != rows
        {
            all.bad(&array, format!("{own} rows, but its metadata has {rows}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, StringArray};

    use super::*;
    use crate::write_parquet;

    #[test]
    fn embeddings_are_whole_where_all_have_the_rows_of_their_metadata() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for part in ["metadata", "img_emb"] {
            std::fs::create_dir(at(part)).unwrap();
        }
        assert_eq!(verify_tables(folder.path()).unwrap(), None);
        write_part_count(folder.path(), 2).unwrap();
        let uids: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let batch = RecordBatch::try_from_iter([("uid", uids)]).unwrap();
        write_parquet(&at("metadata/metadata_0.parquet"), batch.schema(), &[batch]).unwrap();
        let array = |rows: usize, bytes: usize| {
            let path = at("img_emb/img_emb_0.npy");
            clip_format::npy::write(&path, "'<f2'", &[rows, 4], &vec![0; bytes]).unwrap();
            verify_tables(folder.path()).unwrap().unwrap()
        };
        let whole = array(2, 16);
        assert_eq!((whole.files, whole.rows, whole.findings.len()), (2, 2, 0));
        assert_eq!(whole.missing, 2);
        std::fs::write(at("stats/0000.json"), "{}").unwrap();
        assert_eq!(array(2, 16).missing, 1);
        let other = array(3, 24).findings;
        assert_eq!(other[0].reason, "3 rows, but its metadata has 2");
        assert_eq!(array(2, 6).findings.len(), 1, "an array that was cut");
    }
}
