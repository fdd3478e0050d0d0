//! A finished shard to files, in the order of the list.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::{ArrayRef, BinaryBuilder, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use clip_corpus::{PartWriter, Sample, ShardFiles, python_cell};
use clip_pipeline::{Error, Result};
use serde_json::{Map, Value};

use super::columns::names;
use super::json::dump;
use super::outcome::{Done, Status};
use super::row::extension;
use super::shards::Shard;
use super::stats::Stats;
use super::{DatasetConfig, OutputFormat};
use crate::error::was_asked;
use crate::list::FAULT;

/// Rows whose images are in memory at a time while a Parquet file is written.
const ROWS: usize = 64;

/// Gives the encoded image of a row.
pub(super) type Images<'a> = dyn FnMut(usize) -> Result<Vec<u8>> + 'a;

/// Writes everything that belongs to a shard; its statistics come last and say that it is whole.
/// Returns them with all hosts, which the file has no room for.
pub(super) fn shard(
    config: &DatasetConfig,
    shard: &Shard,
    rows: &[Done],
    images: &mut Images,
    started: SystemTime,
) -> Result<Stats> {
    let name = names(config).shard(shard.id);
    let folder = &config.output_folder;
    let table = Table::new(config, shard, rows)?;
    // What `verify` and a training compare the files with.
    let (path, mut hashes) = (folder.join(format!("{name}.parquet")), Map::new());
    match config.output_format {
        OutputFormat::Webdataset => {
            let mut files = ShardFiles::create(folder, name.clone())?;
            table.samples(images, &mut |sample| Ok(files.sample(&sample)?))?;
            files.rows(&table.batch)?;
            let info = files.finish()?;
            hashes.insert("bytes".into(), info.bytes.into());
            hashes.insert("blake3".into(), info.blake3.into());
        }
        OutputFormat::Files => {
            files(&table, &folder.join("_tmp").join(&name), &folder.join(&name), images)?;
            let rows = std::slice::from_ref(&table.batch);
            clip_corpus::write_parquet(&path, table.batch.schema(), rows)?;
        }
        OutputFormat::Parquet => table.with_images(&path, images)?,
        OutputFormat::Dummy => {}
    }
    if config.output_format != OutputFormat::Dummy {
        hashes.insert("table_blake3".into(), clip_corpus::hash_file(&path)?.0.into());
    }
    let mut stats = Stats::default();
    let mut urls = HashSet::new();
    for (row, done) in rows.iter().enumerate() {
        let url = shard.text("url", row);
        stats.add(url, done);
        let asked = done.kind.as_deref().is_none_or(was_asked);
        urls.extend(url.filter(|_| asked).map(str::trim));
    }
    stats.urls = urls.len() as u64;
    let seconds =
        |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
    (stats.start_time, stats.end_time) = (seconds(started), seconds(SystemTime::now()));
    stats.duration = stats.end_time - stats.start_time;
    let Value::Object(mut object) = serde_json::json!(stats.clone().trimmed()) else {
        return Err(Error::stage("fetch", "statistics are no object"));
    };
    object.extend(hashes);
    clip_format::write_atomic(&folder.join(format!("{name}_stats.json")), &dump(&object))?;
    Ok(stats)
}

/// The rows of a shard as a table, without images.
struct Table<'a> {
    config: &'a DatasetConfig,
    rows: &'a [Done],
    captions: Option<&'a Shard>,
    batch: RecordBatch,
    /// Columns that the JSON of a sample has.
    fields: usize,
}

impl<'a> Table<'a> {
    fn new(config: &'a DatasetConfig, shard: &'a Shard, rows: &'a [Done]) -> Result<Self> {
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        let text = |get: &dyn Fn(&Done) -> Option<String>| -> ArrayRef {
            Arc::new(rows.iter().map(get).collect::<StringArray>())
        };
        let number = |get: &dyn Fn(&Done) -> Option<u32>| -> ArrayRef {
            Arc::new(rows.iter().map(|row| get(row).map(|n| n as i32)).collect::<Int32Array>())
        };
        let expected = config.verify_hash.as_ref().map(|(_, kind)| kind.name());
        let schema = shard.rows.schema();
        let listed = schema.fields().iter().zip(shard.rows.columns());
        for (field, column) in listed.filter(|(field, _)| field.name() != FAULT) {
            // What was found replaces what was expected; of a row that failed the latter stays, so
            // that it is verified when it is asked for again.
            let column = if expected == Some(field.name().as_str()) {
                let hashes = rows.iter().enumerate().map(|(at, row)| match row.status {
                    Status::Success => row.hash.clone(),
                    _ => shard.text(field.name(), at).map(str::to_owned),
                });
                Arc::new(hashes.collect::<StringArray>())
            } else {
                column.clone()
            };
            columns.push((field.name().clone(), column));
        }
        columns.push(("key".into(), Arc::new(shard.keys(names(config)))));
        columns.push(("status".into(), text(&|row| Some(row.status.name().into()))));
        columns.push(("error_message".into(), text(&|row| row.message.clone())));
        columns.push(("width".into(), number(&|row| Some(row.size?.0))));
        columns.push(("height".into(), number(&|row| Some(row.size?.1))));
        columns.push(("original_width".into(), number(&|row| Some(row.original?.0))));
        columns.push(("original_height".into(), number(&|row| Some(row.original?.1))));
        if config.extract_exif {
            columns.push(("exif".into(), text(&|row| row.exif.clone())));
        }
        if let Some(kind) = config.compute_hash
            && expected != Some(kind.name())
        {
            columns.push((kind.name().into(), text(&|row| row.hash.clone())));
        }
        let fields = columns.len();
        columns.push(("error_kind".into(), text(&|row| row.kind.as_deref().map(str::to_owned))));
        let schema: Vec<Field> = columns
            .iter()
            .map(|(name, column)| Field::new(name, column.data_type().clone(), true))
            .collect();
        let arrays = columns.into_iter().map(|(_, column)| column).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(schema)), arrays)
            .map_err(|e| Error::arrow("fetch", e))?;
        let captions = config.caption_col.is_some().then_some(shard);
        Ok(Self { config, rows, captions, batch, fields })
    }

    fn good(&self) -> impl Iterator<Item = usize> {
        (0..self.rows.len()).filter(|&row| self.rows[row].status == Status::Success)
    }

    /// The samples of the data set: image, JSON and, where the list has captions, text.
    fn samples(
        &self,
        images: &mut Images,
        visit: &mut dyn FnMut(Sample) -> Result<()>,
    ) -> Result<()> {
        let schema = self.batch.schema();
        let named = || schema.fields().iter().zip(self.batch.columns()).take(self.fields);
        let keys = self.batch.column_by_name("key").cloned();
        for row in self.good() {
            let meta: Map<String, Value> = named()
                .map(|(field, column)| (field.name().clone(), python_cell(column, row)))
                .collect();
            let mut fields = vec![
                (extension(self.config).to_owned(), images(row)?),
                ("json".to_owned(), dump(&meta)),
            ];
            if let Some(shard) = self.captions {
                let caption = shard.text("caption", row).unwrap_or_default();
                fields.push(("txt".to_owned(), caption.as_bytes().to_vec()));
            }
            let key = keys.as_ref().map(|keys| python_cell(keys, row));
            let key = key.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
            visit(Sample { key, fields })?;
        }
        Ok(())
    }

    /// Every row, failures too, with the images.
    fn with_images(&self, path: &Path, images: &mut Images) -> Result<()> {
        let mut fields: Vec<_> = self.batch.schema().fields().iter().cloned().collect();
        let kind = arrow::datatypes::DataType::Binary;
        fields.push(Arc::new(Field::new(extension(self.config), kind, true)));
        let schema = Arc::new(Schema::new(fields));
        let mut writer = PartWriter::create(path, schema.clone())?;
        for from in (0..self.rows.len()).step_by(ROWS) {
            let batch = self.batch.slice(from, ROWS.min(self.rows.len() - from));
            let mut column = BinaryBuilder::new();
            for row in from..from + batch.num_rows() {
                if self.rows[row].status == Status::Success {
                    column.append_value(images(row)?);
                } else {
                    column.append_null();
                }
            }
            let mut columns = batch.columns().to_vec();
            columns.push(Arc::new(column.finish()));
            let batch = RecordBatch::try_new(schema.clone(), columns);
            writer.write(&batch.map_err(|e| Error::arrow("fetch", e))?)?;
        }
        writer.finish()?;
        Ok(())
    }
}

/// A folder of files, made beside and moved when it is whole.
fn files(table: &Table, making: &Path, folder: &Path, images: &mut Images) -> Result<()> {
    let remove = |path: &Path| match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, e)),
        _ => Ok(()),
    };
    remove(making)?;
    std::fs::create_dir_all(making).map_err(|e| Error::io(making, e))?;
    table.samples(images, &mut |sample| {
        for (field, bytes) in &sample.fields {
            let path = making.join(format!("{}.{field}", sample.key));
            let mut file = BufWriter::new(File::create(&path).map_err(|e| Error::io(&path, e))?);
            std::io::Write::write_all(&mut file, bytes).map_err(|e| Error::io(&path, e))?;
            std::io::Write::flush(&mut file).map_err(|e| Error::io(&path, e))?;
        }
        Ok(())
    })?;
    remove(folder)?;
    std::fs::rename(making, folder).map_err(|e| Error::io(folder, e))
}

#[cfg(test)]
mod tests {
    use super::super::HashKind;
    use super::*;

    #[test]
    fn a_row_that_failed_keeps_the_hash_that_it_must_have() {
        let text = |texts: [&str; 2]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
        let columns = [("sha256", text(["expected", "expected"])), ("url", text(["a", "b"]))];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let done = |status, hash: Option<&str>| Done {
            status,
            message: None,
            kind: None,
            size: None,
            original: None,
            exif: None,
            hash: hash.map(str::to_owned),
        };
        let rows_done =
            [done(Status::FailedToDownload, None), done(Status::Success, Some("found"))];
        let verify_hash = Some(("h".to_owned(), HashKind::Sha256));
        let config = DatasetConfig { verify_hash, ..DatasetConfig::default() };
        let shard = Shard { id: 0, rows, keys: None };
        let table = Table::new(&config, &shard, &rows_done).unwrap();
        let hashes = clip_corpus::columns::text(&table.batch, "sha256").unwrap();
        assert_eq!(hashes.iter().collect::<Vec<_>>(), [Some("expected"), Some("found")]);
    }
}
