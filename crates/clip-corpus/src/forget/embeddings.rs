//! Embeddings without some rows.

use std::path::Path;

use super::array::{npy_rows, npy_without};
use super::table::without_uids;
use super::{Uids, copy_without, find_rows};
use crate::{EmbeddingNames, Error, IoContext, Replacement, Result, columns};

/// The names of the tables of embeddings, sorted.
fn tables(folder: &Path) -> Result<Vec<String>> {
    let metadata = folder.join(EmbeddingNames::METADATA);
    let mut names: Vec<String> = std::fs::read_dir(&metadata)
        .at(&metadata)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()
        .at(&metadata)?;
    names.retain(|name| EmbeddingNames::of_metadata(name).is_some());
    names.sort();
    Ok(names)
}

/// Refuses embeddings none of which has a uid in its metadata.
///
/// # Errors
/// For such embeddings, and when a table cannot be read.
pub fn check_embeddings(folder: &Path) -> Result<()> {
    let (mut lacking, mut known) = (false, false);
    for name in tables(folder)? {
        let without = without_uids(&folder.join(EmbeddingNames::METADATA).join(&name))?;
        (lacking, known) = (lacking || without, known || !without);
    }
    if lacking && !known {
        let reason = "no embedding has a uid in its metadata\nhint: leave it out".to_owned();
        return Err(Error::Spec { spec: folder.display().to_string(), reason });
    }
    Ok(())
}

/// How many rows [`forget_embeddings`] removes.
///
/// # Errors
/// When a table cannot be read.
pub fn count_in_embeddings(folder: &Path, uids: &Uids) -> Result<u64> {
    let mut count = 0;
    for name in tables(folder)? {
        let table = folder.join(EmbeddingNames::METADATA).join(&name);
        count += find_rows(&table, columns::UID, |uid| uids.contains(uid))?.len() as u64;
    }
    Ok(count)
}

/// Removes rows from embeddings in clip-retrieval's layout (`img_emb/img_emb_0.npy`,
/// `text_emb/text_emb_0.npy`, `metadata/metadata_0.parquet`) by the metadata's `uid`. Returns the
/// number of rows.
///
/// # Errors
/// When a file is damaged or cannot be written, or metadata and embeddings differ in their rows.
pub fn forget_embeddings(folder: &Path, uids: &Uids) -> Result<u64> {
    Replacement::recover(folder)?;
    check_embeddings(folder)?;
    let mut removed = 0;
    for name in tables(folder)? {
        let Some(files) = EmbeddingNames::of_metadata(&name) else { continue };
        let table = folder.join(EmbeddingNames::METADATA).join(&name);
        let places = find_rows(&table, columns::UID, |uid| uids.contains(uid))?;
        if places.is_empty() {
            continue;
        }
        let mut replacement = Replacement::begin(folder)?;
        copy_without(&table, &replacement.stage(&files.metadata)?, &places)?;
        let rows = crate::parquet_rows(&table)?;
        for array in files.arrays() {
            let path = folder.join(array);
            if !path.is_file() {
                continue;
            }
            let own = npy_rows(&path)?;
            if own != rows {
                let reason = format!("{own} rows, but its metadata has {rows}");
                return Err(Error::Damaged { path, reason });
            }
            npy_without(&path, &replacement.stage(array)?, &places)?;
        }
        replacement.commit()?;
        removed += places.len() as u64;
    }
    Ok(removed)
}
