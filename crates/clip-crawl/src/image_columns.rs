//! The rows of a fetch with what is known of their images.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryBuilder, BooleanArray, Int32Array, RecordBatch, StringArray,
    UInt64Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::Int32Type;
use clip_corpus::columns;
use clip_pipeline::{Error, Reject, Result};

use crate::error::FETCH;
use crate::image::Stored;

/// A row that was dropped.
pub(crate) fn reject(batch: &RecordBatch, index: usize, reason: String, detail: String) -> Reject {
    let cell = |name: &str| {
        columns::text(batch, name).map(|column| column.value(index).to_owned()).unwrap_or_default()
    };
    Reject {
        row: columns::uint64(batch, columns::ROW).map_or(0, |rows| rows.value(index)),
        uid: cell(columns::UID),
        url: cell(columns::URL),
        caption: cell(columns::CAPTION),
        reason,
        detail,
    }
}

/// A row, what is known of its image, and the image.
pub(crate) type StoredRow<'a> = (usize, &'a Stored, Vec<u8>);

/// Those rows of a batch, with the columns of their images. What the source knew of an image before
/// it was stored there (its size, hash and EXIF) stays.
pub(crate) fn with_images(batch: &RecordBatch, rows: &[StoredRow]) -> Result<RecordBatch> {
    let arrow = |e| Error::arrow(FETCH, e);
    let indices = UInt64Array::from_iter_values(rows.iter().map(|(index, ..)| *index as u64));
    let batch = take_record_batch(batch, &indices).map_err(arrow)?;
    let mut batch = columns::without_column(&batch, columns::LOCATION);
    let ints = |get: fn(&Stored) -> u32| -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|(_, s, _)| get(s) as i32)))
    };
    let longs = |get: fn(&Stored) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|(_, s, _)| get(s))))
    };
    let texts = |get: fn(&Stored) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, s, _)| get(s))))
    };
    let mut images = BinaryBuilder::new();
    rows.iter().for_each(|(.., bytes)| images.append_value(bytes));
    let flat: BooleanArray = rows.iter().map(|(_, s, _)| Some(s.flat)).collect();
    let new: [(&str, ArrayRef); 12] = [
        ("width", ints(|s| s.size.0)),
        ("height", ints(|s| s.size.1)),
        ("original_width", ints(|s| s.original.0)),
        ("original_height", ints(|s| s.original.1)),
        ("format", texts(|s| &s.format)),
        ("sha256", texts(|s| &s.sha256)),
        ("blake3", texts(|s| &s.blake3)),
        (columns::PHASH, longs(|s| s.phash)),
        (columns::DHASH, longs(|s| s.dhash)),
        ("flat", Arc::new(flat)),
        ("exif", texts(|s| &s.exif)),
        (columns::IMAGE, Arc::new(images.finish())),
    ];
    for (name, column) in new {
        let column = match batch.column_by_name(name) {
            Some(known) => known_or(known, column),
            None => column,
        };
        batch = columns::with_column(&batch, name, false, column).map_err(arrow)?;
    }
    Ok(batch)
}

/// The cells that are known, else those that were found.
fn known_or(known: &ArrayRef, found: ArrayRef) -> ArrayRef {
    if let (Some(a), Some(b)) = (known.as_string_opt::<i32>(), found.as_string_opt::<i32>()) {
        return Arc::new(a.iter().zip(b).map(|(a, b)| a.or(b)).collect::<StringArray>());
    }
    let int = |column: &ArrayRef| column.as_primitive_opt::<Int32Type>().cloned();
    match (int(known), int(&found)) {
        (Some(a), Some(b)) => {
            Arc::new(a.iter().zip(&b).map(|(a, b)| a.or(b)).collect::<Int32Array>())
        }
        _ => found,
    }
}
