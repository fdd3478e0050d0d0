//! A pool: tables with a row for each pair, and embeddings beside them.

use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use clip_corpus::{ParquetFile, columns};

use crate::{Error, Result};

/// Names of the caption's column: DataComp's, then img2dataset's and ours.
pub(crate) const TEXT: [&str; 2] = ["text", columns::CAPTION];
/// Names of the image's sides before any resizing.
pub(crate) const WIDTH: [&str; 2] = ["original_width", "width"];
/// The same for the height.
pub(crate) const HEIGHT: [&str; 2] = ["original_height", "height"];
/// img2dataset's: `success`, where there is an image.
pub(crate) const STATUS: &str = "status";

/// A table, with the place where its embeddings are if there are any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolFile {
    /// The Parquet table.
    pub table: PathBuf,
    /// The `.npz` file with the same name.
    pub embeddings: PathBuf,
}

/// The files of a pool, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The files.
    pub files: Vec<PoolFile>,
}

impl Pool {
    /// Whether its tables say what came of each row's image.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub fn has_status(&self) -> Result<bool> {
        for table in self.tables() {
            if clip_corpus::schema_of(&table)?.column_with_name(STATUS).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The tables that these paths are, or have in them: DataComp's metadata, the output of
    /// img2dataset and `clip-data fetch`, shards of a build.
    ///
    /// # Errors
    /// When a folder has no table.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let mut files = Vec::new();
        for path in paths {
            for table in clip_sql::dedup::tables(path)? {
                let embeddings = table.with_extension("npz");
                files.push(PoolFile { table, embeddings });
            }
        }
        Ok(Self { files })
    }

    /// The tables alone.
    pub fn tables(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.table.clone()).collect()
    }
}

/// The first of several names that a table has.
pub(crate) fn column_of<'a>(
    schema: &SchemaRef,
    table: &Path,
    names: &[&'a str],
) -> Result<&'a str> {
    let found = names.iter().find(|name| schema.index_of(name).is_ok());
    found.copied().ok_or_else(|| {
        let has: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let mut hint = format!("hint: it has {}", has.join(", "));
        if names == [columns::UID] {
            hint += "; a build gives pairs uids, and its [select] filters shards that have none (`clip-data init --from webdataset`)";
        }
        Error::Settings(format!("{}: no column {}\n{hint}", table.display(), names.join(" or ")))
    })
}

/// The rows of a table, of some of its columns.
pub(crate) fn batches(table: &Path, names: &[&str], rows: usize) -> Result<clip_corpus::Batches> {
    let file = ParquetFile::open(table)?;
    let places: Vec<usize> =
        names.iter().filter_map(|name| file.schema().index_of(name).ok()).collect();
    Ok(file.batches(Some(&places), rows, 0)?)
}

/// A column as texts; what the table lacks is a settings error.
pub(crate) fn texts(batch: &RecordBatch, table: &Path, name: &str) -> Result<StringArray> {
    Ok(cast_to(batch, table, name, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// A column as numbers.
pub(crate) fn numbers(batch: &RecordBatch, table: &Path, name: &str) -> Result<Float64Array> {
    Ok(cast_to(batch, table, name, &DataType::Float64)?.as_primitive().clone())
}

fn cast_to(batch: &RecordBatch, table: &Path, name: &str, kind: &DataType) -> Result<ArrayRef> {
    let schema = batch.schema();
    column_of(&schema, table, &[name])?;
    let column = batch.column_by_name(name).ok_or_else(|| Error::damaged(table, name))?;
    let wrong = |what: &dyn std::fmt::Display| {
        Error::Settings(format!("{}: column {name}: {what}", table.display()))
    };
    // Texts that happen to be numbers are no scores.
    let is_text =
        |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    if is_text(kind) != is_text(column.data_type()) && *column.data_type() != DataType::Null {
        return Err(wrong(&format!("{} where {kind} is wanted", column.data_type())));
    }
    let converted = cast(column, kind).map_err(|e| wrong(&e))?;
    if converted.null_count() > column.null_count() {
        return Err(wrong(&format!("values that are no {kind}")));
    }
    Ok(converted)
}
