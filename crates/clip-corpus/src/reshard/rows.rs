//! The rows of shards' tables: found by key, and as bytes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};

use crate::{Error, IoContext, Result, columns};

/// The table beside a shard, by key.
pub(super) struct Table {
    path: PathBuf,
    rows: RecordBatch,
    places: HashMap<String, usize>,
}

impl Table {
    pub fn read(shard: &Path) -> Result<Self> {
        let path = shard.with_extension("parquet");
        let rows =
            concat_batches(&crate::schema_of(&path)?, &crate::read_parquet(&path)?).at(&path)?;
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

    /// Refuses a table that cannot be written into one with those before it.
    pub fn check(&self, first: &SchemaRef) -> Result<()> {
        let schema = self.schema();
        let columns = |schema: &SchemaRef| -> Vec<_> {
            let fields = schema.fields().iter();
            fields.map(|field| (field.name().clone(), field.data_type().clone())).collect()
        };
        if columns(&schema) == columns(first) {
            return Ok(());
        }
        let reason = "its columns are not those of the first shard's table".to_owned();
        Err(Error::Damaged { path: self.path.clone(), reason })
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
    use std::sync::Arc;

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
        let table = Table::read(&shard).unwrap();
        let codec = RowCodec::new(&table).unwrap();
        for (at, key) in ["x", "y", "z"].iter().enumerate() {
            let row = table.row(key).unwrap();
            assert_eq!(codec.decode(&codec.encode(&row).unwrap()).unwrap(), batch.slice(at, 1));
        }
        let other = Arc::new(batch.schema().project(&[0, 2]).unwrap());
        assert!(table.check(&batch.schema()).is_ok());
        let error = table.check(&other).unwrap_err().to_string();
        assert!(error.contains("0.parquet: its columns are not those of the first"), "{error}");
    }
}
