//! Arrays (`.npy`) without some rows.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use clip_format::{AtomicFile, npy};

use crate::{Error, IoContext, Result};

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
    let room = std::fs::metadata(path).at(path)?.len().saturating_sub(header.len() as u64);
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
