//! Parquet lists: only the wanted columns are read, and rows that are skipped are not decoded.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array, new_null_array,
};
use arrow::compute::{cast, take, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema};
use clip_corpus::ParquetFile;
use clip_pipeline::config::source::CaptionList;
use clip_pipeline::{Error, Result};

use super::files::ListFile;
use super::table::{BATCH, Batches, Column, fault_field, places};
use crate::pair_reader::bad;

pub(super) fn batches(file: &ListFile, columns: &[Column], skip: usize) -> Result<Batches> {
    let table = open(file)?;
    let schema = table.schema().clone();
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let places = places(file, columns, &names)?;
    for (column, place) in columns.iter().zip(&places) {
        let kind = place.map_or(&DataType::Null, |at| schema.field(at).data_type());
        check(column, kind).map_err(|e| Error::Config(format!("{}: {e}", file.path.display())))?;
    }
    let mut roots: Vec<usize> = places.iter().flatten().copied().collect();
    roots.sort_unstable();
    roots.dedup();
    // Where rows become more rows, those to skip are counted behind that.
    let more = columns.iter().any(|column| column.lists == CaptionList::All);
    let reader = table.batches(Some(&roots), BATCH, if more { 0 } else { skip })?;
    // Where each wanted column is among those that are read.
    let read: Vec<Option<usize>> =
        places.iter().map(|place| roots.binary_search(&((*place)?)).ok()).collect();
    let (file, columns) = (file.clone(), columns.to_vec());
    let batches =
        reader.map(move |batch| wanted(&batch?, &columns, &read).map_err(|e| bad(&file.path, e)));
    Ok(if more { Box::new(skipped(batches, skip)) } else { Box::new(batches) })
}

/// Whether a column of this kind can be what is wanted.
fn check(column: &Column, kind: &DataType) -> std::result::Result<(), String> {
    match kind {
        _ if !column.text => Ok(()),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
            if column.lists == CaptionList::Refuse =>
        {
            Err(column.refusal())
        }
        DataType::Struct(_) | DataType::Map(..) => {
            Err(format!("column {:?} holds objects\nhint: name a column of text", column.from))
        }
        _ => Ok(()),
    }
}

/// The types of the wanted columns.
pub(super) fn kinds(file: &ListFile, columns: &[Column]) -> Result<Vec<DataType>> {
    let schema = open(file)?.schema().clone();
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let kind = |place: Option<usize>| {
        place.map_or(DataType::Null, |at| schema.field(at).data_type().clone())
    };
    Ok(places(file, columns, &names)?.into_iter().map(kind).collect())
}

fn skipped(
    batches: impl Iterator<Item = Result<RecordBatch>> + Send + 'static,
    mut skip: usize,
) -> impl Iterator<Item = Result<RecordBatch>> + Send {
    batches.filter_map(move |batch| match batch {
        Ok(batch) => {
            let from = skip.min(batch.num_rows());
            skip -= from;
            (from < batch.num_rows()).then(|| Ok(batch.slice(from, batch.num_rows() - from)))
        }
        fault => Some(fault),
    })
}

fn wanted(
    batch: &RecordBatch,
    columns: &[Column],
    read: &[Option<usize>],
) -> std::result::Result<RecordBatch, String> {
    let mut fields = Vec::with_capacity(columns.len() + 1);
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len() + 1);
    let mut more = None;
    for (column, read) in columns.iter().zip(read) {
        let no_text = |e| format!("column {:?} is no text: {e}", column.from);
        let array = match read {
            Some(at) if column.text => match captions(batch.column(*at), column.lists) {
                Some((rows, captions)) => {
                    more = Some((rows, arrays.len(), as_text(&captions).map_err(no_text)?));
                    new_null_array(&DataType::Utf8, batch.num_rows())
                }
                None => as_text(batch.column(*at)).map_err(no_text)?,
            },
            Some(at) => batch.column(*at).clone(),
            None => new_null_array(&DataType::Utf8, batch.num_rows()),
        };
        fields.push(Field::new(&column.to, array.data_type().clone(), true));
        arrays.push(array);
    }
    fields.push(fault_field());
    arrays.push(new_null_array(&DataType::Utf8, batch.num_rows()));
    let schema = Arc::new(Schema::new(fields));
    let table = RecordBatch::try_new(schema.clone(), arrays).map_err(|e| e.to_string())?;
    let Some((rows, at, captions)) = more else { return Ok(table) };
    let table = take_record_batch(&table, &rows).map_err(|e| e.to_string())?;
    let mut arrays = table.columns().to_vec();
    arrays[at] = captions;
    RecordBatch::try_new(schema, arrays).map_err(|e| e.to_string())
}

/// The captions of a column of lists, and the row of each: one null for a row that has none.
fn captions(column: &ArrayRef, lists: CaptionList) -> Option<(UInt64Array, ArrayRef)> {
    let most = if lists == CaptionList::All { usize::MAX } else { 1 };
    let (values, ranges): (ArrayRef, Vec<(usize, usize)>) = match column.data_type() {
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let ends = lists.value_offsets().windows(2).map(|w| (w[0] as usize, w[1] as usize));
            (lists.values().clone(), ends.collect())
        }
        DataType::LargeList(_) => {
            let lists = column.as_list::<i64>();
            let ends = lists.value_offsets().windows(2).map(|w| (w[0] as usize, w[1] as usize));
            (lists.values().clone(), ends.collect())
        }
        DataType::FixedSizeList(_, length) => {
            let (lists, length) = (column.as_fixed_size_list(), *length as usize);
            let from = lists.value_offset(0) as usize;
            let ends = (0..lists.len()).map(|row| (from + row * length, from + (row + 1) * length));
            (lists.values().clone(), ends.collect())
        }
        _ => return None,
    };
    let (mut rows, mut places) = (Vec::new(), Vec::new());
    for (row, (from, to)) in ranges.into_iter().enumerate() {
        let before = rows.len();
        if column.is_valid(row) {
            let valid = (from..to).filter(|&at| values.is_valid(at)).take(most);
            places.extend(valid.map(|at| Some(at as u64)));
        }
        if places.len() == before {
            places.push(None);
        }
        rows.resize(places.len(), row as u64);
    }
    let captions = take(&values, &UInt64Array::from(places), None).ok()?;
    Some((UInt64Array::from(rows), captions))
}

/// A column made text.
fn as_text(column: &ArrayRef) -> std::result::Result<ArrayRef, String> {
    if column.data_type() == &DataType::Utf8 {
        return Ok(column.clone());
    }
    if column.data_type() == &DataType::Null {
        return Ok(Arc::new(StringArray::new_null(column.len())));
    }
    cast(column, &DataType::Utf8).map_err(|e| e.to_string())
}

/// The number of rows that [`batches`] gives: from the footer, unless rows become more rows.
pub(super) fn count(file: &ListFile, columns: &[Column]) -> Result<usize> {
    if columns.iter().any(|column| column.lists == CaptionList::All) {
        return batches(file, columns, 0)?.try_fold(0, |rows, batch| Ok(rows + batch?.num_rows()));
    }
    Ok(open(file)?.rows() as usize)
}

/// A remote file is copied to disk first: its end must be read before its beginning.
fn open(file: &ListFile) -> Result<ParquetFile> {
    let text = file.path.to_string_lossy();
    let opened = if clip_store::is_remote(&text) {
        clip_store::copy(&text).map_err(|e| Error::io(&file.path, e))?
    } else {
        File::open(&file.path).map_err(|e| Error::io(&file.path, e))?
    };
    Ok(ParquetFile::new(&file.path, opened)?)
}
