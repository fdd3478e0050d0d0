//! What the JSON of a sample knows of its image: img2dataset's fields, and columns that the source
//! was asked for.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use clip_corpus::columns;
use clip_pipeline::Result;
use serde_json::Value;

use crate::pair_reader::bad_columns;
use crate::rows::{More, STAGE};

/// Columns of a source of local images.
pub(crate) struct Known {
    schema: SchemaRef,
    /// Those that come from the JSON by name, as text.
    kept: Vec<String>,
}

impl Known {
    /// With these columns beside img2dataset's fields.
    ///
    /// # Errors
    /// For a name that the build has a column of its own for.
    pub fn new(kept: &[String]) -> Result<Self> {
        columns::check_extra(kept).map_err(|reason| bad_columns(&reason))?;
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let mut fields = vec![
            Field::new(columns::LOCATION, DataType::Utf8, false),
            text(columns::SOURCE_KEY),
            text("sha256"),
            Field::new("original_width", DataType::Int32, true),
            Field::new("original_height", DataType::Int32, true),
            text("exif"),
        ];
        let kept: Vec<String> = kept.iter().filter(|name| *name != columns::UID).cloned().collect();
        fields.extend(kept.iter().map(|name| text(name)));
        Ok(Self { schema: Arc::new(Schema::new(fields)), kept })
    }

    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The columns of a pair whose image is at `location`. Its identity is the JSON's, where that
    /// is 32 hex digits, else made of `name`, the shard or file, and `key`.
    pub fn more(
        &self,
        location: &str,
        name: &str,
        key: Option<&str>,
        json: &Value,
    ) -> Result<More> {
        let text = |field: &str| text(json.get(field)?);
        let one = |value: Option<String>| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
        let size = |field: &str| json.get(field)?.as_u64().and_then(|n| i32::try_from(n).ok());
        // One without the other is neither.
        let sizes =
            size("original_width").zip(size("original_height")).filter(|(w, h)| *w > 0 && *h > 0);
        let number = |value: Option<i32>| -> ArrayRef { Arc::new(Int32Array::from(vec![value])) };
        let hex = |field: &str, digits: usize| {
            text(field).filter(|t| t.len() == digits && t.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        let source_key = text("key").or_else(|| key.map(str::to_owned));
        let mut cells: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec![location])),
            one(source_key),
            one(hex("sha256", 64).map(|hash| hash.to_lowercase())),
            number(sizes.map(|(width, _)| width)),
            number(sizes.map(|(_, height)| height)),
            one(text("exif")),
        ];
        cells.extend(self.kept.iter().map(|name| one(text(name))));
        let columns = RecordBatch::try_new(self.schema.clone(), cells)
            .map_err(|e| clip_pipeline::Error::arrow(STAGE, e))?;
        let uid = hex(columns::UID, 32).map(|uid| uid.to_lowercase());
        let uid = uid.unwrap_or_else(|| clip_corpus::uid(name, key.unwrap_or_default()));
        Ok(More { uid: Some(uid), columns: Arc::new(columns), row: 0 })
    }
}

/// A value as text: what is none is written as JSON.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
