//! Writing WebDataset shards with Parquet, statistics and an index beside each, in img2dataset's
//! layout.

use std::ops::Range;
use std::path::Path;

use arrow::array::{RecordBatch, StringArray};
use clip_corpus::{Sample, ShardFiles, ShardNames, columns};
use clip_pipeline::{Context, Counts, Error, PartInfo, Result, Sink, Written, image_bytes};
use serde_json::{Map as JsonMap, Value, json};
use std::sync::Arc;

use crate::captions::text_column;

/// Rows that are held with their images at a time.
const BATCH: usize = 256;
/// Digits of a shard's number.
const DIGITS: usize = 5;

/// Writes shard number `n` from rows `n * rows` to `(n + 1) * rows` of the whole input, in input
/// order.
pub struct ShardSink {
    rows: usize,
}

impl ShardSink {
    /// Name of the stage.
    pub const STAGE: &'static str = "shards";

    /// With this many samples in each shard.
    pub fn new(rows: usize) -> Self {
        Self { rows }
    }

    /// Visits the rows of a unit in order, some hundred at a time.
    fn each(
        &self,
        unit: usize,
        inputs: &[PartInfo],
        mut visit: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let (from, to) = (unit * self.rows, (unit + 1) * self.rows);
        let mine = self.reads(unit, inputs);
        let mut at: usize = inputs[..mine.start].iter().map(|input| input.rows as usize).sum();
        for input in &inputs[mine] {
            for batch in input.stream(BATCH)? {
                let batch = batch?;
                let (first, last) = (from.max(at), to.min(at + batch.num_rows()));
                if first < last {
                    visit(&batch.slice(first - at, last - first))?;
                }
                at += batch.num_rows();
                if at >= to {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

impl Sink for ShardSink {
    fn units(&self, inputs: &[PartInfo]) -> usize {
        let rows: u64 = inputs.iter().map(|input| input.rows).sum();
        (rows as usize).div_ceil(self.rows)
    }

    fn reads(&self, unit: usize, inputs: &[PartInfo]) -> Range<usize> {
        let (from, to) = ((unit * self.rows) as u64, ((unit + 1) * self.rows) as u64);
        let mut end = 0;
        let ends = inputs.iter().map(|input| {
            end += input.rows;
            end
        });
        let ends: Vec<u64> = ends.collect();
        let first = ends.partition_point(|&end| end <= from);
        // The part in which the file ends is read, too.
        let last = ends.partition_point(|&end| end < to);
        first..inputs.len().min(last + 1)
    }

    fn write(&self, unit: usize, inputs: &[PartInfo], dir: &Path, cx: &Context) -> Result<Written> {
        let names = ShardNames::new(DIGITS, self.rows);
        let mut shard = ShardFiles::create(dir, names.shard(unit))?;
        let mut count = 0;
        self.each(unit, inputs, |batch| {
            let keys: Vec<String> =
                (0..batch.num_rows()).map(|at| names.sample(unit, count + at)).collect();
            for (index, key) in keys.iter().enumerate() {
                shard.sample(&sample(batch, index, key)?)?;
            }
            count += batch.num_rows();
            cx.rows(batch.num_rows() as u64);
            Ok(shard.rows(&table_batch(batch, &keys)?)?)
        })?;
        // img2dataset's keys.
        let stats = json!({
            "count": count, "successes": count, "failed_to_download": 0, "failed_to_resize": 0,
            "status_dict": {"success": count},
        });
        let stats = stats.as_object().cloned().unwrap_or_default();
        let (rows, files) = shard.finish_with(stats)?;
        let counts = Counts { rows_in: rows, rows_out: rows, ..Counts::default() };
        Ok(Written { counts, files })
    }
}

fn sample(batch: &RecordBatch, index: usize, key: &str) -> Result<Sample> {
    let stage = ShardSink::STAGE;
    let caption = text_column(batch, stage, columns::CAPTION)?.value(index);
    let format = columns::text(batch, "format").map_or("jpg", |formats| formats.value(index));
    let images = image_bytes(batch)
        .ok_or_else(|| Error::Config(format!("stage {stage}: the input lacks images: no fetch came before, or a build with --lean removed them\nhint: `clip-data build --from fetch` fetches them again")))?;
    let mut meta = JsonMap::new();
    for (column, field) in batch.columns().iter().zip(batch.schema().fields()) {
        if let Some(value) = clip_corpus::cell(column, index) {
            meta.insert(field.name().clone(), value);
        }
    }
    meta.insert("key".into(), key.into());
    meta.insert("status".into(), "success".into());
    let fields = vec![
        (format.to_owned(), images.value(index).to_vec()),
        ("json".to_owned(), Value::Object(meta).to_string().into_bytes()),
        ("txt".to_owned(), caption.as_bytes().to_vec()),
    ];
    Ok(Sample { key: key.to_owned(), fields })
}

fn table_batch(batch: &RecordBatch, keys: &[String]) -> Result<RecordBatch> {
    let arrow = |e| Error::arrow(ShardSink::STAGE, e);
    let batch = columns::without_column(batch, columns::IMAGE);
    let keys = Arc::new(StringArray::from_iter_values(keys));
    let batch = columns::with_column(&batch, "key", false, keys).map_err(arrow)?;
    let status = Arc::new(StringArray::from_iter_values(vec!["success"; batch.num_rows()]));
    columns::with_column(&batch, "status", false, status).map_err(arrow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, BinaryArray, UInt64Array};
    use arrow::datatypes::Schema;
    use clip_corpus::{ShardReader, read_parquet, write_parquet};

    fn part(dir: &Path, part: usize, rows: u64) -> PartInfo {
        let path = dir.join(format!("{part}.parquet"));
        let images = dir.join(format!("{part}.images.parquet"));
        let ids: Vec<u64> = (0..rows).map(|i| clip_corpus::row_id(part, i as usize)).collect();
        let row: ArrayRef = Arc::new(UInt64Array::from(ids.clone()));
        let caption: ArrayRef =
            Arc::new(StringArray::from_iter_values(ids.iter().map(|id| format!("caption {id}"))));
        let image: ArrayRef =
            Arc::new(BinaryArray::from_iter_values(ids.iter().map(|id| id.to_le_bytes())));
        let table =
            RecordBatch::try_from_iter([("row", row.clone()), ("caption", caption)]).unwrap();
        let pixels = RecordBatch::try_from_iter([("row", row), ("image", image)]).unwrap();
        let schema = |b: &RecordBatch| -> Arc<Schema> { b.schema() };
        write_parquet(&path, schema(&table), &[table]).unwrap();
        write_parquet(&images, schema(&pixels), &[pixels]).unwrap();
        PartInfo { part, path, rows, images: Some(images), embeddings: None }
    }

    #[test]
    fn shards_cut_across_parts_and_lose_no_row() {
        let dir = tempfile::tempdir().unwrap();
        let inputs = [part(dir.path(), 0, 5), part(dir.path(), 2, 1), part(dir.path(), 3, 4)];
        let sink = ShardSink::new(4);
        assert_eq!(sink.units(&inputs), 3);
        let cx = Context::detached("shards", 1, dir.path());
        let out = dir.path().join("shards");
        let mut keys = Vec::new();
        for unit in 0..3 {
            let Written { counts, files } = sink.write(unit, &inputs, &out, &cx).unwrap();
            let samples: Vec<Sample> =
                ShardReader::open(&out.join(&files[0])).unwrap().map(|s| s.unwrap()).collect();
            let rows: usize =
                read_parquet(&out.join(&files[1])).unwrap().iter().map(RecordBatch::num_rows).sum();
            assert_eq!((samples.len(), rows), (counts.rows_out as usize, counts.rows_out as usize));
            for sample in samples {
                let meta: Value = serde_json::from_slice(sample.get("json").unwrap()).unwrap();
                let id = meta["row"].as_u64().unwrap();
                assert_eq!(sample.get("jpg").unwrap(), id.to_le_bytes());
                assert_eq!(sample.get("txt").unwrap(), format!("caption {id}").as_bytes());
                keys.push(sample.key);
            }
        }
        assert_eq!(keys.len(), 10);
        assert_eq!((keys[0].as_str(), keys[9].as_str()), ("000000", "000021"));
    }
}
