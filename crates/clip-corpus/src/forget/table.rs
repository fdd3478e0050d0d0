//! Tables without some rows.

use std::collections::HashSet;
use std::path::Path;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::DataType;

use super::array::{npy_rows, npy_without};
use super::{Uids, statistics};
use crate::{Error, IoContext, PartWriter, Replacement, Result, columns, scan, schema_of};

/// Rows that are read at a time.
const ROWS: usize = 8192;

/// The places, ascending, of the rows that are wanted by the text of a column; none where the table
/// has no such column.
///
/// # Errors
/// When the table is damaged, or the column is no text.
pub fn find_rows(path: &Path, column: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<u64>> {
    let (mut places, mut first) = (Vec::new(), 0);
    for batch in scan(path, &[column], ROWS)? {
        let batch = batch?;
        let Some(values) = batch.column_by_name(column) else { break };
        let values = cast(values, &DataType::Utf8).at(path)?;
        let values = RecordBatch::try_from_iter([(column, values)]).at(path)?;
        let texts = columns::text(&values, column).into_iter().flatten();
        let found = (first..).zip(texts).filter(|(_, text)| text.is_some_and(&wanted));
        places.extend(found.map(|(place, _)| place));
        first += batch.num_rows() as u64;
    }
    Ok(places)
}

/// Whether a table has rows, and none of them a uid.
pub(super) fn without_uids(path: &Path) -> Result<bool> {
    let mut rows = false;
    for batch in scan(path, &[columns::UID], ROWS)? {
        let batch = batch?;
        rows |= batch.num_rows() > 0;
        let column = batch.column_by_name(columns::UID);
        if column.is_some_and(|column| column.null_count() < column.len()) {
            return Ok(false);
        }
    }
    Ok(rows)
}

/// The texts of a column in the rows at these places, which ascend; nulls are left out, and there
/// are none where the table has no such column.
///
/// # Errors
/// When the table is damaged, or the column is no text.
pub fn texts_at(path: &Path, places: &[u64], column: &str) -> Result<Vec<String>> {
    let (mut found, mut first) = (Vec::new(), 0);
    if places.is_empty() || schema_of(path)?.column_with_name(column).is_none() {
        return Ok(found);
    }
    for batch in scan(path, &[column], ROWS)? {
        let batch = batch?;
        let end = first + batch.num_rows() as u64;
        let values = cast(batch.column(0), &DataType::Utf8).at(path)?;
        let values = values.as_string::<i32>();
        let own = places.iter().filter(|place| (first..end).contains(*place));
        let own = own.map(|place| (place - first) as usize).filter(|&at| values.is_valid(at));
        found.extend(own.map(|at| values.value(at).to_owned()));
        first = end;
    }
    Ok(found)
}

/// Writes a table without the rows at these places, which ascend, under another name.
///
/// # Errors
/// When one cannot be read or the other written.
pub fn copy_without(path: &Path, to: &Path, places: &[u64]) -> Result<()> {
    let mut writer = PartWriter::create(to, schema_of(path)?)?;
    let mut first = 0;
    for batch in scan(path, &[], ROWS)? {
        let batch = batch?;
        let rows = batch.num_rows() as u64;
        let keep: BooleanArray = (first..first + rows)
            .map(|place| Some(places.binary_search(&place).is_err()))
            .collect();
        writer.write(&filter_record_batch(&batch, &keep).at(path)?)?;
        first += rows;
    }
    writer.finish()?;
    Ok(())
}

/// Refuses what [`forget_in_table`] refuses; returns the places of the rows.
///
/// # Errors
/// As those of [`forget_in_table`].
pub fn check_table(path: &Path, uids: &Uids) -> Result<Vec<u64>> {
    if schema_of(path)?.column_with_name(columns::UID).is_none() {
        let reason = "the table has no column `uid`\nhint: leave it out".to_owned();
        return Err(Error::Spec { spec: path.display().to_string(), reason });
    }
    let places = find_rows(path, columns::UID, |uid| uids.contains(uid))?;
    if places.is_empty() && without_uids(path)? {
        let reason = "no row has a uid\nhint: leave it out".to_owned();
        return Err(Error::Spec { spec: path.display().to_string(), reason });
    }
    let archive = path.with_extension("npz");
    if !places.is_empty() && archive.exists() {
        let reason = "its rows are the table's, and it is not rewritten\n\
                      hint: `clip-data filter` gives a subset file without these uids";
        return Err(Error::Spec { spec: archive.display().to_string(), reason: reason.into() });
    }
    Ok(places)
}

/// Removes rows from a table by its column `uid`, and from the `.npy` file of the same name beside
/// it, if that has a row for each of the table's. Of a data set's shard without a tar, the files of
/// these samples go as well, and its statistics are those of what is left. Returns the number of
/// rows.
///
/// # Errors
/// When a file is damaged or cannot be written, the table has no uids, or a `.npz` beside it would
/// no longer fit.
pub fn forget_in_table(path: &Path, uids: &Uids) -> Result<u64> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut replacement = Replacement::begin(folder)?;
    let places = check_table(path, uids)?;
    if places.is_empty() {
        return Ok(0);
    }
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let samples = folder.join(&stem);
    if samples.is_dir() {
        // First: killed from then on, the table still has the rows, for the next call.
        let keys: HashSet<String> = texts_at(path, &places, "key")?.into_iter().collect();
        remove_samples(&samples, &keys)?;
    }
    let staged = replacement.stage(&name(path))?;
    copy_without(path, &staged, &places)?;
    let hash = crate::hash_file(&staged)?.0;
    let changed = [("table_blake3", hash.into())];
    statistics::stage(
        folder,
        &stem,
        Some(&staged),
        places.len() as u64,
        changed,
        &mut replacement,
    )?;
    let array = path.with_extension("npy");
    if array.is_file() && npy_rows(&array)? == crate::parquet_rows(path)? {
        npy_without(&array, &replacement.stage(&name(&array))?, &places)?;
    }
    replacement.commit()?;
    Ok(places.len() as u64)
}

/// Removes the files of these keys from the folder of a shard's samples: a key ends at the first
/// dot of a name.
fn remove_samples(folder: &Path, keys: &HashSet<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder).at(folder)? {
        let path = entry.at(folder)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.split('.').next().is_some_and(|key| keys.contains(key)) {
            std::fs::remove_file(&path).at(&path)?;
        }
    }
    Ok(())
}
