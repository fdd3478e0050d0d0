//! Parquet tables: with the images inside, or with hashes of images that are elsewhere.

use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt64Type};
use clip_corpus::ParquetFile;

use super::{CorpusRow, STATUS, Visit, is_stored};
use clip_format::ImageFormat;

use crate::{Error, Result};

const FILES: [&str; 2] = ["blake3", "sha256"];
const IDS: [&str; 3] = ["key", "uid", "row"];

/// What a table lacks to be checked against evaluation sets.
pub(super) fn lacking(path: &Path, names: &[&str]) -> Error {
    let known = "an image column, `phash`, `blake3` or `sha256`";
    let has = names.join(", ");
    Error::file(path, format!("no column to compare by, only {has}\nhint: {known} is needed"))
}

pub(super) fn each(path: &Path, visit: &mut Visit) -> Result<bool> {
    let file = ParquetFile::open(path)?;
    let schema = file.schema().clone();
    let is = |name: &str, wanted: fn(&DataType) -> bool| {
        schema.column_with_name(name).is_some_and(|(_, field)| wanted(field.data_type()))
    };
    let binary = |kind: &DataType| {
        matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
    };
    let extensions = ImageFormat::ALL.iter().flat_map(|format| format.extensions()).copied();
    let image = ["image"].into_iter().chain(extensions).chain(["bytes"]).find(|n| is(n, binary));
    let hashes: Vec<&str> =
        FILES.into_iter().chain(["phash"]).filter(|n| is(n, |_| true)).collect();
    if image.is_none() && hashes.is_empty() {
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        return Err(lacking(path, &names));
    }
    let wanted: Vec<&str> = image
        .into_iter()
        .chain(hashes)
        .chain(IDS)
        .chain([STATUS])
        .chain(["url", "caption", "text", "TEXT", "URL"])
        .collect();
    let roots = schema.fields().iter().enumerate();
    let roots = roots.filter(|(_, f)| wanted.contains(&f.name().as_str())).map(|(at, _)| at);
    let roots: Vec<usize> = roots.collect();
    // Images are large: few rows at a time.
    let rows = if image.is_some() { 128 } else { 8192 };
    let mut first = 0;
    for batch in file.batches(Some(&roots), rows, 0)? {
        let batch = batch?;
        for row in rows_of(&batch, image, first)? {
            if !visit(row)? {
                return Ok(false);
            }
        }
        first += batch.num_rows();
    }
    Ok(true)
}

fn rows_of(batch: &RecordBatch, image: Option<&str>, first: usize) -> Result<Vec<CorpusRow>> {
    let column = |name: &str| batch.column_by_name(name);
    let text = |names: &[&str]| -> Result<Option<StringArray>> {
        let found = names.iter().find_map(|name| column(name));
        let found = found.map(|c| cast(c, &DataType::Utf8)).transpose()?;
        Ok(found.map(|c| c.as_string::<i32>().clone()))
    };
    let images = image.and_then(column).map(|c| cast(c, &DataType::Binary)).transpose()?;
    let images: Option<&BinaryArray> = images.as_ref().map(|c| c.as_binary::<i32>());
    let files: Vec<StringArray> = FILES
        .iter()
        .map(|name| text(&[name]))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect();
    let (ids, urls) = (text(&IDS)?, text(&["url", "URL"])?);
    let captions = text(&["caption", "text", "TEXT"])?;
    let status = text(&[STATUS])?;
    let phash = column("phash").map(hash_column).transpose()?;
    let cell = |column: &Option<StringArray>, at: usize| {
        column.as_ref().filter(|c| c.is_valid(at)).map(|c| c.value(at).to_owned())
    };
    let row = |at: usize| CorpusRow {
        id: cell(&ids, at).unwrap_or_else(|| (first + at).to_string()),
        image: images.filter(|c| c.is_valid(at)).map(|c| c.value(at).to_vec()),
        files: files
            .iter()
            .filter(|c| c.is_valid(at))
            .map(|c| c.value(at).to_lowercase())
            .collect(),
        phash: phash.as_ref().and_then(|values| values[at]),
        url: cell(&urls, at).unwrap_or_default(),
        caption: cell(&captions, at).unwrap_or_default(),
    };
    let stored = |at: &usize| is_stored(cell(&status, *at).as_deref());
    Ok((0..batch.num_rows()).filter(stored).map(row).collect())
}

/// A pHash is a number, or its 16 hex digits as imagededup prints them.
fn hash_column(column: &ArrayRef) -> Result<Vec<Option<u64>>> {
    if matches!(column.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        let text = cast(column, &DataType::Utf8)?;
        return Ok(text.as_string::<i32>().iter().map(|cell| cell.and_then(hash)).collect());
    }
    let cells = if column.data_type() == &DataType::Int64 {
        // Signed in tables of tools that have no unsigned numbers: the same bits.
        let cells = column.as_primitive::<arrow::datatypes::Int64Type>();
        return Ok(cells.iter().map(|cell| cell.map(|v| v as u64)).collect());
    } else {
        cast(column, &DataType::UInt64)?
    };
    Ok(cells.as_primitive::<UInt64Type>().iter().collect())
}

/// 16 hex digits.
pub(super) fn hash(text: &str) -> Option<u64> {
    let text = text.trim();
    (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok())?
}
