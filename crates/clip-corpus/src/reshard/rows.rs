//! The rows of shards' tables: found by key, and as bytes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};

use crate::{Error, IoContext, Result, columns};

/// The table beside a shard, by key.
pub(super) struct Table {
    path: PathBuf,
    rows: RecordBatch,
    places: HashMap<String, usize>,
}

/// All columns of the tables beside these shards, in the order in which they come.
///
/// # Errors
/// When a table cannot be read, or two have different types of one column.
pub(super) fn common_schema(shards: &[PathBuf]) -> Result<SchemaRef> {
    let mut fields: Vec<(FieldRef, usize)> = Vec::new();
    for shard in shards {
        let path = shard.with_extension("parquet");
        for field in crate::schema_of(&path)?.fields() {
            let Some((known, count)) = fields.iter_mut().find(|(f, _)| f.name() == field.name())
            else {
                fields.push((field.clone(), 1));
                continue;
            };
            if known.data_type() != field.data_type() {
                let (name, this, other) = (field.name(), field.data_type(), known.data_type());
                let reason = format!(
                    "column {name:?} is {this} here, and {other} in a table before it\nhint: write the column anew, or reshard both by themselves"
                );
                return Err(Error::Spec { spec: path.display().to_string(), reason });
            }
            let nullable = known.is_nullable() || field.is_nullable();
            *known = Arc::new(known.as_ref().clone().with_nullable(nullable));
            *count += 1;
        }
    }
    let fields = fields.into_iter().map(|(field, count)| {
        let nullable = field.is_nullable() || count < shards.len();
        field.as_ref().clone().with_nullable(nullable)
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

impl Table {
    /// The table beside a shard, with the columns of `schema`: null where it has none.
    pub fn read(shard: &Path, schema: &SchemaRef) -> Result<Self> {
        let path = shard.with_extension("parquet");
        let own =
            concat_batches(&crate::schema_of(&path)?, &crate::read_parquet(&path)?).at(&path)?;
        let column = |field: &FieldRef| {
            let there = own.column_by_name(field.name()).cloned();
            there.unwrap_or_else(|| new_null_array(field.data_type(), own.num_rows()))
        };
        let columns = schema.fields().iter().map(column).collect();
        let rows = RecordBatch::try_new(schema.clone(), columns).at(&path)?;
        let keys = columns::text(&rows, "key").ok_or_else(|| Error::Damaged {
            path: path.clone(),
            reason: "the table beside a shard has no text column `key`".into(),
        })?;
        let places = keys.iter().enumerate();
        let places = places.filter_map(|(at, key)| Some((key?.to_owned(), at))).collect();
        Ok(Self { path, rows, places })
    }

    pub fn len(&self) -> u64 {
        self.rows.num_rows() as u64
    }

    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    pub fn row(&self, key: &str) -> Result<RecordBatch> {
        let place = self.places.get(key).ok_or_else(|| Error::Damaged {
            path: self.path.clone(),
            reason: format!("sample {key:?} of the shard has no row"),
        })?;
        Ok(self.rows.slice(*place, 1))
    }
}

/// Rows of one schema as bytes, and back.
pub(super) struct RowCodec {
    path: PathBuf,
    schema: SchemaRef,
    converter: RowConverter,
}

impl RowCodec {
    /// For the rows of this table and those with the same columns.
    pub fn new(table: &Table) -> Result<Self> {
        let (path, schema) = (table.path.clone(), table.schema());
        let fields = schema.fields().iter();
        let fields = fields.map(|field| SortField::new(field.data_type().clone())).collect();
        let converter = RowConverter::new(fields).at(&path)?;
        Ok(Self { path, schema, converter })
    }

    pub fn encode(&self, row: &RecordBatch) -> Result<Vec<u8>> {
        let rows = self.converter.convert_columns(row.columns()).at(&self.path)?;
        Ok(rows.row(0).as_ref().to_vec())
    }

    pub fn decode(&self, row: &[u8]) -> Result<RecordBatch> {
        let parser = self.converter.parser();
        let columns = self.converter.convert_rows([parser.parse(row)]).at(&self.path)?;
        // Dictionaries come back as their values.
        let fields = self.schema.fields().iter();
        let columns = fields.zip(&columns).map(|(field, column)| cast(column, field.data_type()));
        let columns = columns.collect::<std::result::Result<_, _>>().at(&self.path)?;
        RecordBatch::try_new(self.schema.clone(), columns).at(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array, ListBuilder, StringArray, StringBuilder};

    #[test]
    fn rows_are_the_same_after_they_were_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let shard = folder.path().join("0.tar");
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.append_value([Some("a"), None]);
        lists.append_null();
        lists.append_value([None::<&str>; 0]);
        let columns: [(&str, ArrayRef, bool); 3] = [
            ("key", Arc::new(StringArray::from(vec!["x", "y", "z"])), false),
            ("number", Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(1e300)])), true),
            ("captions", Arc::new(lists.finish()), true),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        crate::write_parquet(
            &shard.with_extension("parquet"),
            batch.schema(),
            std::slice::from_ref(&batch),
        )
        .unwrap();
        let schema = common_schema(std::slice::from_ref(&shard)).unwrap();
        let table = Table::read(&shard, &schema).unwrap();
        let codec = RowCodec::new(&table).unwrap();
        for (at, key) in ["x", "y", "z"].iter().enumerate() {
            let row = table.row(key).unwrap();
            assert_eq!(codec.decode(&codec.encode(&row).unwrap()).unwrap(), batch.slice(at, 1));
        }
    }

    #[test]
    fn tables_of_other_columns_share_those_of_all_and_types_must_agree() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, column: &str, values: ArrayRef| {
            let shard = folder.path().join(name);
            let key: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
            let batch = RecordBatch::try_from_iter([("key", key), (column, values)]).unwrap();
            crate::write_parquet(&shard.with_extension("parquet"), batch.schema(), &[batch])
                .unwrap();
            shard
        };
        let text: ArrayRef = Arc::new(StringArray::from(vec!["dns"]));
        let number: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
        let shards = [write("0.tar", "status", text.clone()), write("1.tar", "error_kind", text)];
        let schema = common_schema(&shards).unwrap();
        let row = Table::read(&shards[0], &schema).unwrap().row("x").unwrap();
        let cell = |name: &str| columns::text(&row, name).unwrap().iter().next().unwrap();
        assert_eq!(["key", "status", "error_kind"].map(cell), [Some("x"), Some("dns"), None]);
        let odd = write("2.tar", "status", number);
        let error = common_schema(&[shards[0].clone(), odd]).unwrap_err().to_string();
        assert!(
            error.contains("2.parquet: column \"status\" is Float64 here, and Utf8"),
            "{error}"
        );
    }
}
