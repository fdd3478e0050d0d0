//! The samples of shards as Arrow batches.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use clip_corpus::{Sample, ShardReader};

/// Samples of a batch, and bytes of its images, at most.
const BATCH: (usize, usize) = (4096, 64 << 20);

/// The columns of samples.
pub fn schema(images: bool) -> SchemaRef {
    let text = |name: &str, null| Field::new(name, DataType::Utf8, null);
    let mut fields =
        vec![text("shard", false), text("key", false), text("caption", true), text("json", true)];
    if images {
        fields.extend([text("extension", true), Field::new("image", DataType::Binary, true)]);
    }
    Arc::new(Schema::new(fields))
}

/// Reads one shard after another.
pub struct ShardRows {
    shards: VecDeque<PathBuf>,
    open: Option<(String, ShardReader)>,
    images: bool,
}

impl ShardRows {
    /// Of shards, in their order.
    pub fn new(shards: Vec<PathBuf>, images: bool) -> Self {
        Self { shards: shards.into(), open: None, images }
    }

    /// The next sample, with its shard.
    fn sample(&mut self) -> clip_corpus::Result<Option<(String, Sample)>> {
        loop {
            if let Some((shard, reader)) = &mut self.open {
                if let Some(sample) = reader.next().transpose()? {
                    return Ok(Some((shard.clone(), sample)));
                }
                self.open = None;
            }
            let Some(path) = self.shards.pop_front() else { return Ok(None) };
            self.open = Some((path.display().to_string(), ShardReader::open(&path)?));
        }
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let [mut shards, mut keys, mut captions, mut jsons, mut extensions] =
            std::array::from_fn(|_| StringBuilder::new());
        let mut images = BinaryBuilder::new();
        let (mut rows, mut bytes) = (0, 0);
        while rows < BATCH.0 && bytes < BATCH.1 {
            let sample = self.sample();
            let sample = sample.map_err(|error| {
                ArrowError::ExternalError(clip_corpus::error_report(&error).into())
            })?;
            let Some((shard, sample)) = sample else { break };
            rows += 1;
            let text = |field: &str| {
                sample.get(field).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            };
            shards.append_value(shard);
            keys.append_value(&sample.key);
            captions.append_option(text("txt"));
            jsons.append_option(text("json"));
            if self.images {
                let image = sample.image();
                bytes += image.map_or(0, |(_, image)| image.len());
                extensions.append_option(image.map(|(extension, _)| extension));
                images.append_option(image.map(|(_, image)| image));
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(shards.finish()),
            Arc::new(keys.finish()),
            Arc::new(captions.finish()),
            Arc::new(jsons.finish()),
        ];
        if self.images {
            columns.extend([Arc::new(extensions.finish()) as ArrayRef, Arc::new(images.finish())]);
        }
        RecordBatch::try_new(schema(self.images), columns).map(Some)
    }
}

impl Iterator for ShardRows {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}
