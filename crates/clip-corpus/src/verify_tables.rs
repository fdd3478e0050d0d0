//! Whether tables and arrays are whole that are no shards: what `embed` and `score` write.

use std::path::{Path, PathBuf};

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
    for file in &files {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => all.add(verify_table(file)),
            Some("npy") => all.add(verify_subset(file)),
            _ => {}
        }
    }
    for table in &files {
        embeddings(folder, table, &mut all);
    }
    Ok((all.files > 0).then_some(all))
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
        let uids: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let batch = RecordBatch::try_from_iter([("uid", uids)]).unwrap();
        write_parquet(&at("metadata/metadata_0.parquet"), batch.schema(), &[batch]).unwrap();
        let array = |rows: usize, bytes: usize| {
            let path = at("img_emb/img_emb_0.npy");
            clip_format::npy::write(&path, "'<f2'", &[rows, 4], &vec![0; bytes]).unwrap();
            verify_tables(folder.path()).unwrap().unwrap()
        };
        let whole = array(2, 16);
        assert_eq!((whole.files, whole.rows, whole.findings.len()), (2, 4, 0));
        let other = array(3, 24).findings;
        assert_eq!(other[0].reason, "3 rows, but its metadata has 2");
        assert_eq!(array(2, 6).findings.len(), 1, "an array that was cut");
    }
}
