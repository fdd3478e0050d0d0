//! Names of the columns that stages agree on, and helpers to read them.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// Global row id, ascending over a run: see [`crate::row_id`].
pub const ROW: &str = "row";
/// Identity of the pair: see [`crate::uid`].
pub const UID: &str = "uid";
/// URL of the image.
pub const URL: &str = "url";
/// The text.
pub const CAPTION: &str = "caption";
/// URL of the page that showed the image, if there was one.
pub const PAGE_URL: &str = "page_url";
/// Where the caption was: `alt`, `title`, `figcaption`, `list`, `file`, …
pub const SOURCE: &str = "source";
/// ISO 639 code that language identification gave.
pub const LANGUAGE: &str = "language";
/// Its probability.
pub const LANGUAGE_PROB: &str = "language_prob";
/// Ids of the queries that the caption contains, ascending.
pub const QUERIES: &str = "queries";
/// The stored image, encoded; kept in a file of its own beside the part.
pub const IMAGE: &str = "image";
/// 64-bit perceptual hash with imagededup's bits.
pub const PHASH: &str = "phash";
/// 64-bit difference hash with imagededup's bits.
pub const DHASH: &str = "dhash";
/// Row of the copy that a near-duplicate cluster keeps.
pub const CLUSTER: &str = "cluster";
/// All captions of a cluster, the kept one first.
pub const CAPTIONS: &str = "captions";
/// Evaluation set that the image is a copy from, if any.
pub const OVERLAP: &str = "overlap";
/// Number of the cluster that the image's embedding is in.
pub const SEMANTIC_CLUSTER: &str = "semantic_cluster";

/// Where a source of local images has the image of a row; the fetch stage reads it there, and drops
/// the column.
pub const LOCATION: &str = "location";
/// The key that a row's sample had in the shards that it comes from.
pub const SOURCE_KEY: &str = "source_key";

/// Columns that a build makes: those of a list that have one of these names cannot be kept under
/// it.
pub const BUILD: [&str; 37] = [
    ROW,
    URL,
    CAPTION,
    PAGE_URL,
    SOURCE,
    LANGUAGE,
    LANGUAGE_PROB,
    QUERIES,
    "query_places",
    "query",
    "keep_prob",
    IMAGE,
    PHASH,
    DHASH,
    CLUSTER,
    CAPTIONS,
    OVERLAP,
    "overlap_key",
    "overlap_score",
    "overlap_all",
    SEMANTIC_CLUSTER,
    LOCATION,
    SOURCE_KEY,
    "width",
    "height",
    "original_width",
    "original_height",
    "format",
    "sha256",
    "blake3",
    "flat",
    "exif",
    "key",
    "status",
    "reason",
    "row fault",
    "",
];

/// Whether a build can keep columns of these names beside its own. `uid` is kept as the pair's
/// identity.
///
/// # Errors
/// In words, when a name is a build's own or is there twice.
pub fn check_extra(names: &[String]) -> std::result::Result<(), String> {
    if let Some(name) = names.iter().find(|name| BUILD.contains(&name.as_str())) {
        let hint = "hint: leave it out, or rename it in the list";
        return Err(format!("{name:?} is a column that a build has of its own\n{hint}"));
    }
    let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
    twice.map_or(Ok(()), |(_, name)| Err(format!("{name:?} is named twice")))
}

/// The columns every source gives.
pub fn pair_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new(ROW, DataType::UInt64, false),
        Field::new(UID, DataType::Utf8, false),
        Field::new(URL, DataType::Utf8, false),
        Field::new(CAPTION, DataType::Utf8, false),
        Field::new(PAGE_URL, DataType::Utf8, true),
        Field::new(SOURCE, DataType::Utf8, false),
    ]))
}

/// A text column, or nothing when the batch has no such column of that type.
pub fn text<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StringArray> {
    batch.column_by_name(name)?.as_string_opt::<i32>()
}

/// A `UInt64` column, or nothing when the batch has no such column of that type.
pub fn uint64<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a UInt64Array> {
    batch.column_by_name(name)?.as_primitive_opt()
}

/// The batch with one more column, or with that column replaced.
///
/// # Errors
/// When the column has another length than the batch.
pub fn with_column(
    batch: &RecordBatch,
    name: &str,
    nullable: bool,
    column: ArrayRef,
) -> std::result::Result<RecordBatch, arrow::error::ArrowError> {
    let field = Arc::new(Field::new(name, column.data_type().clone(), nullable));
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    let mut columns = batch.columns().to_vec();
    match batch.schema().index_of(name) {
        Ok(at) => (fields[at], columns[at]) = (field, column),
        Err(_) => {
            fields.push(field);
            columns.push(column);
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The batch without a column.
pub fn without_column(batch: &RecordBatch, name: &str) -> RecordBatch {
    let mut batch = batch.clone();
    if let Ok(at) = batch.schema().index_of(name) {
        batch.remove_column(at);
    }
    batch
}
