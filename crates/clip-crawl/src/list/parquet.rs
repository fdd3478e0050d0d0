//! Parquet lists: only the wanted columns are read, and rows that are passed over are not decoded.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};
use clip_pipeline::{Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::files::ListFile;
use super::table::{BATCH, Batches, Column, as_text, places};
use crate::feed::bad;

pub(super) fn batches(file: &ListFile, columns: &[Column], skip: usize) -> Result<Batches> {
    let builder = open(file)?;
    let schema = builder.schema().clone();
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let places = places(file, columns, &names)?;
    let mut roots: Vec<usize> = places.iter().flatten().copied().collect();
    roots.sort_unstable();
    roots.dedup();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots.iter().copied());
    let reader = builder.with_projection(mask).with_batch_size(BATCH).with_offset(skip).build();
    let reader = reader.map_err(|e| bad(&file.path, e))?;
    // Where each wanted column is among those that are read.
    let read: Vec<Option<usize>> =
        places.iter().map(|place| roots.binary_search(&((*place)?)).ok()).collect();
    let (file, columns) = (file.clone(), columns.to_vec());
    Ok(Box::new(reader.map(move |batch| {
        let batch = batch.map_err(|e| bad(&file.path, e))?;
        wanted(&batch, &columns, &read).map_err(|e| bad(&file.path, e))
    })))
}

fn wanted(
    batch: &RecordBatch,
    columns: &[Column],
    read: &[Option<usize>],
) -> std::result::Result<RecordBatch, String> {
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
    for (column, read) in columns.iter().zip(read) {
        let array = match read {
            Some(at) if column.text => as_text(batch.column(*at))
                .map_err(|e| format!("column {:?} is no text: {e}", column.from))?,
            Some(at) => batch.column(*at).clone(),
            None => new_null_array(&DataType::Utf8, batch.num_rows()),
        };
        fields.push(Field::new(&column.to, array.data_type().clone(), true));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|e| e.to_string())
}

/// The number of rows, from the footer.
pub(super) fn count(file: &ListFile) -> Result<usize> {
    Ok(open(file)?.metadata().file_metadata().num_rows().max(0) as usize)
}

/// A remote file is copied to disk first: its end must be read before its beginning.
fn open(file: &ListFile) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let text = file.path.to_string_lossy();
    let opened = if clip_store::is_remote(&text) {
        clip_store::copy(&text).map_err(|e| Error::io(&file.path, e))?
    } else {
        File::open(&file.path).map_err(|e| Error::io(&file.path, e))?
    };
    ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|e| bad(&file.path, e))
}
