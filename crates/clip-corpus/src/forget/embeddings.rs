//! Embeddings without some rows.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use clip_format::{AtomicFile, npy};

use super::{Uids, copy_without, find_rows};
use crate::{EmbeddingNames, Error, IoContext, Replacement, Result, columns};

/// An array, open after its header.
struct Rows {
    reader: BufReader<File>,
    descr: String,
    shape: Vec<usize>,
    /// Bytes of a row.
    width: usize,
}

fn open(path: &Path) -> Result<Rows> {
    let bad = |reason: String| Error::Damaged { path: path.to_path_buf(), reason };
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path).at(path)?);
    let header = npy::read_header(&mut reader).map_err(bad)?;
    let array = npy::parse(&header).map_err(bad)?;
    let size = array.descr.trim_matches('\'').get(2..).and_then(|size| size.parse::<u64>().ok());
    let size = size.filter(|_| !array.descr.starts_with('[') && !array.fortran_order);
    let size =
        size.ok_or_else(|| bad(format!("an array of {}, whose rows are not known", array.descr)))?;
    let room = std::fs::metadata(path).at(path)?.len();
    let sides: Vec<u64> = array.shape.iter().map(|&side| side as u64).collect();
    clip_guard::claim(&sides, size, room).map_err(bad)?;
    let width = sides.iter().skip(1).product::<u64>() * size;
    Ok(Rows { descr: array.descr, shape: array.shape, width: width as usize, reader })
}

/// The length of the first axis of an array in a `.npy` file.
///
/// # Errors
/// When the file cannot be read or is no such array.
pub fn npy_rows(path: &Path) -> Result<u64> {
    Ok(open(path)?.shape.first().copied().unwrap_or(0) as u64)
}

/// Writes an array without the rows at these places, which ascend, under another name.
///
/// # Errors
/// When one cannot be read or the other written.
pub fn npy_without(path: &Path, to: &Path, places: &[u64]) -> Result<()> {
    let mut rows = open(path)?;
    let all = rows.shape.first().copied().unwrap_or(0);
    if let Some(first) = rows.shape.first_mut() {
        *first = all - places.len().min(all);
    }
    let mut file = AtomicFile::create(to)?;
    let mut writer = BufWriter::new(file.handle().at(to)?);
    writer.write_all(&npy::header(&rows.descr, &rows.shape)).at(to)?;
    let mut row = vec![0; rows.width];
    for place in 0..all as u64 {
        rows.reader.read_exact(&mut row).at(path)?;
        if places.binary_search(&place).is_err() {
            writer.write_all(&row).at(to)?;
        }
    }
    writer.flush().at(to)?;
    drop(writer);
    Ok(file.commit()?)
}

/// Removes rows from embeddings in clip-retrieval's layout (`img_emb/img_emb_0.npy`,
/// `text_emb/text_emb_0.npy`, `metadata/metadata_0.parquet`) by the metadata's `uid`. Returns the
/// number of rows.
///
/// # Errors
/// When a file is damaged or cannot be written, or metadata and embeddings differ in their rows.
pub fn forget_embeddings(folder: &Path, uids: &Uids) -> Result<u64> {
    Replacement::recover(folder)?;
    let metadata = folder.join(EmbeddingNames::METADATA);
    let mut names: Vec<String> = std::fs::read_dir(&metadata)
        .at(&metadata)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()
        .at(&metadata)?;
    names.sort();
    let mut removed = 0;
    for name in names {
        let Some(files) = EmbeddingNames::of_metadata(&name) else { continue };
        let table = metadata.join(&name);
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
