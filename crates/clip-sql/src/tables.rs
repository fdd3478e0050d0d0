//! Parquet files as tables of a query.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::Schema;
use clip_corpus::PartWriter;
use datafusion::datasource::TableProvider;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use rayon::prelude::*;

use crate::{Error, Result};

/// Files that many are joined to.
const FEW_FILES: usize = 1024;

/// Writes the rows of many files, in their order, to few in `folder`: these columns, or all where
/// none is named.
pub(crate) fn join(parts: &[PathBuf], columns: &[&str], folder: &Path) -> Result<Vec<PathBuf>> {
    let copied = |name: &String| columns.is_empty() || columns.contains(&name.as_str());
    let groups = parts.par_chunks(parts.len().div_ceil(FEW_FILES)).enumerate();
    let write = |(number, group): (usize, &[PathBuf])| {
        let path = folder.join(format!("{number:05}.parquet"));
        let schema = clip_corpus::schema_of(&group[0])?;
        let fields = schema.fields().iter().filter(|field| copied(field.name())).cloned();
        let schema = Schema::new(fields.collect::<Vec<_>>());
        let mut writer = PartWriter::create(&path, Arc::new(schema))?;
        for part in group {
            for batch in clip_corpus::scan(part, columns, 8192)? {
                writer.write(&batch?)?;
            }
        }
        writer.finish()?;
        Ok(path)
    };
    groups.map(write).collect()
}

/// A table of Parquet files, in this process or for a cluster that sees the same paths.
pub fn listing(name: &str, parts: &[PathBuf]) -> Result<Arc<dyn TableProvider>> {
    let first = parts.first().ok_or_else(|| Error::NoParts { table: name.to_owned() })?;
    let schema = clip_corpus::schema_of(first)?;
    let mut urls = Vec::with_capacity(parts.len());
    for part in parts {
        let path = plain(part).map_err(|e| Error::io(part, e))?;
        let odd = || Error::result(name, format!("{} is no path for a table", part.display()));
        let url = url::Url::from_file_path(path).map_err(|()| odd())?;
        urls.push(ListingTableUrl::try_new(url, None).map_err(|e| Error::query(name, e))?);
    }
    let options =
        ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
    let config = ListingTableConfig::new_with_multi_paths(urls)
        .with_listing_options(options)
        .with_schema(schema);
    Ok(Arc::new(ListingTable::try_new(config).map_err(|e| Error::query(name, e))?))
}

/// The absolute path without `..`, which has no place in a URL. Other paths stay as the workers of
/// a cluster know them.
fn plain(path: &Path) -> std::io::Result<PathBuf> {
    let up = path.components().any(|part| part == Component::ParentDir);
    if up { path.canonicalize() } else { std::path::absolute(path) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};

    #[test]
    fn joined_files_have_the_columns_that_queries_need() {
        let folder = tempfile::tempdir().unwrap();
        let part = |number: u64| {
            let row: ArrayRef = Arc::new(UInt64Array::from(vec![2 * number, 2 * number + 1]));
            let text: ArrayRef = Arc::new(StringArray::from(vec!["long"; 2]));
            let batch = RecordBatch::try_from_iter([("text", text), ("row", row)]).unwrap();
            let path = folder.path().join(format!("{number}.parquet"));
            clip_corpus::write_parquet(&path, batch.schema(), &[batch]).unwrap();
            path
        };
        let parts: Vec<PathBuf> = (0..3).map(part).collect();
        for (columns, expected) in [(&["row"][..], 1), (&[], 2)] {
            let joined = join(&parts, columns, &folder.path().join("joined")).unwrap();
            let rows = joined.iter().flat_map(|path| clip_corpus::read_parquet(path).unwrap());
            let rows: Vec<RecordBatch> = rows.collect();
            assert!(rows.iter().all(|batch| batch.num_columns() == expected));
            let ids = rows.iter().flat_map(|batch| {
                clip_corpus::columns::uint64(batch, "row").unwrap().values().to_vec()
            });
            assert_eq!(ids.collect::<Vec<_>>(), (0..6).collect::<Vec<_>>());
        }
    }
}
