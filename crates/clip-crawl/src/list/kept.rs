//! Columns of a list that a build keeps beside URL and caption.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use clip_corpus::{columns, python_cell};
use clip_pipeline::{Error, Result};

use super::files::{Format, ListFile};
use super::parquet;
use super::table::Column;
use crate::pair_reader::bad_columns;
use crate::rows::STAGE;

/// What is kept of each row.
pub(super) struct Kept {
    pub schema: SchemaRef,
    /// Whether the column `uid` is wanted, which is the pair's identity.
    pub uid: bool,
}

impl Kept {
    /// The kinds of the columns, which all files must agree on.
    ///
    /// # Errors
    /// For a name that the build has of its own, one that a file lacks, and one that is of two
    /// kinds.
    pub fn new(names: &[String], files: &[ListFile]) -> Result<Self> {
        columns::check_extra(names).map_err(|reason| bad_columns(&reason))?;
        if let Some(file) = files.iter().find(|f| f.format == Format::Txt && !names.is_empty()) {
            let file = file.path.display();
            return Err(bad_columns(&format!("{file}: a list of URLs has no other columns")));
        }
        let wanted: Vec<&String> = names.iter().filter(|name| *name != columns::UID).collect();
        let mut kinds: Vec<Option<(DataType, &ListFile)>> = vec![None; wanted.len()];
        for file in files.iter().filter(|_| !wanted.is_empty()) {
            let found = match file.format {
                Format::Parquet => parquet::kinds(file, &columns(wanted.iter().copied()))?,
                _ => vec![DataType::Utf8; wanted.len()],
            };
            for ((kind, name), found) in kinds.iter_mut().zip(&wanted).zip(found) {
                let found = kept_kind(&found);
                match kind {
                    Some((known, first)) if *known != found => {
                        let (first, file) = (first.path.display(), file.path.display());
                        let hint = "hint: write it with one type, or build each list alone";
                        return Err(bad_columns(&format!(
                            "{name:?} is {known} in {first} and {found} in {file}\n{hint}"
                        )));
                    }
                    Some(_) => {}
                    None => *kind = Some((found, file)),
                }
            }
        }
        let fields = wanted.into_iter().zip(kinds).map(|(name, kind)| {
            Field::new(name, kind.map_or(DataType::Utf8, |(kind, _)| kind), true)
        });
        let uid = names.iter().any(|name| name == columns::UID);
        Ok(Self { schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())), uid })
    }

    /// Whether URL and caption are all that is wanted.
    pub fn is_empty(&self) -> bool {
        self.schema.fields().is_empty() && !self.uid
    }

    /// The columns to read, identity last.
    pub fn columns(&self) -> Vec<Column> {
        let uid = columns::UID.to_owned();
        let mut all = columns(self.schema.fields().iter().map(|field| field.name()));
        all.extend(self.uid.then(|| Column::text(&uid, &uid)));
        all
    }

    /// Those columns of a batch as they are kept.
    pub fn of(&self, read: &[ArrayRef]) -> Result<RecordBatch> {
        if self.schema.fields().is_empty() {
            return Ok(RecordBatch::new_empty(self.schema.clone()));
        }
        let kept = self.schema.fields().iter().zip(read).map(|(field, column)| {
            as_kept(column, field.data_type()).ok_or_else(|| {
                let (name, kind) = (field.name(), column.data_type());
                Error::stage(STAGE, format!("column {name:?} of type {kind} cannot be kept"))
            })
        });
        RecordBatch::try_new(self.schema.clone(), kept.collect::<Result<_>>()?)
            .map_err(|e| Error::arrow(STAGE, e))
    }
}

fn columns<'a>(names: impl Iterator<Item = &'a String>) -> Vec<Column> {
    names.map(|name| Column { text: false, ..Column::text(name, name) }).collect()
}

/// The type that a column is kept with: numbers, booleans and text keep theirs, all else is text.
fn kept_kind(kind: &DataType) -> DataType {
    match kind {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64 => kind.clone(),
        DataType::Float16 => DataType::Float32,
        _ => DataType::Utf8,
    }
}

/// The column with that type; lists and objects are JSON, bytes cannot be kept.
fn as_kept(column: &ArrayRef, kind: &DataType) -> Option<ArrayRef> {
    Some(match column.data_type() {
        own if own == kind => column.clone(),
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::Struct(_) => {
            let text = (0..column.len()).map(|row| {
                let value = python_cell(column, row);
                (!value.is_null()).then(|| value.to_string())
            });
            Arc::new(text.collect::<StringArray>())
        }
        DataType::Null => Arc::new(StringArray::new_null(column.len())),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::FixedSizeBinary(_)
        | DataType::Map(..) => {
            return None;
        }
        _ => cast(column, kind).ok()?,
    })
}
