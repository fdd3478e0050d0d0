//! Rows of runs and shards, by Arrow's C stream interface.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchIterator};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ffi_stream::FFI_ArrowArrayStream;
use clip_corpus::ParquetFile;
use clip_pipeline::{PartFileKind, RunReader, StageReader, reject_schema};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::error::{Raised, message};
use crate::interrupt::interruptible;
use crate::shard_rows::{self, ShardRows};

/// Rows of a batch of a table.
const ROWS: usize = 65_536;

/// Where rows come from.
#[derive(Clone)]
enum Origin {
    /// Parquet files of one schema.
    Tables(Vec<PathBuf>),
    /// Samples of shards, with their images or without.
    Shards(Vec<PathBuf>, bool),
}

/// Rows that are read when they are asked for, once more each time.
#[pyclass(frozen, module = "clip_data._native")]
pub struct Rows {
    origin: Origin,
    schema: SchemaRef,
}

#[pymethods]
impl Rows {
    /// Arrow's PyCapsule interface: what pyarrow, polars, duckdb and pandas read.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // Another one is a wish, which the interface allows to be left.
        drop(requested_schema);
        let schema = Arc::clone(&self.schema);
        let stream = match self.origin.clone() {
            Origin::Tables(files) => {
                let batches = files.into_iter().flat_map(|file| match scan(&file) {
                    Ok(batches) => batches,
                    Err(error) => Box::new(std::iter::once(Err(error))),
                });
                FFI_ArrowArrayStream::new(Box::new(RecordBatchIterator::new(batches, schema)))
            }
            Origin::Shards(shards, images) => {
                let batches = ShardRows::new(shards, images);
                FFI_ArrowArrayStream::new(Box::new(RecordBatchIterator::new(batches, schema)))
            }
        };
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }

    /// Names of the columns.
    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

fn scan(file: &Path) -> Result<Batches, ArrowError> {
    let failed = |error: clip_corpus::Error| {
        ArrowError::ExternalError(clip_corpus::error_report(&error).into())
    };
    let batches = ParquetFile::open(file).and_then(|file| file.batches(None, ROWS, 0));
    Ok(Box::new(batches.map_err(failed)?.map(move |batch| batch.map_err(failed))))
}

/// The rows that a stage of a run passed on, or those that it rejected; without a stage, of the
/// last one that has rows.
#[pyfunction]
pub fn read_run(
    py: Python<'_>,
    run: PathBuf,
    stage: Option<String>,
    rejects: bool,
) -> PyResult<Rows> {
    let kind = if rejects { PartFileKind::Rejects } else { PartFileKind::Rows };
    interruptible(
        py,
        || {},
        move || {
            let reader = RunReader::open(&run).raised()?;
            let stages = match &stage {
                Some(name) => std::slice::from_ref(reader.stage(name).map_err(|error| {
                    let names: Vec<&str> =
                        reader.stages().iter().map(|s| s.name.as_str()).collect();
                    message(format!("{error}\nhint: its stages are {}", names.join(", ")))
                })?),
                None => reader.stages(),
            };
            for stage in stages.iter().rev() {
                let files = stage.layout.files(kind).raised()?;
                if let Some(first) = files.first() {
                    // Metadata is each file's own.
                    let file = ParquetFile::open(first).raised()?;
                    let schema = Arc::new(Schema::new(file.schema().fields().clone()));
                    return Ok(Rows { origin: Origin::Tables(files), schema });
                }
            }
            // A stage that has passed rows on and has no rejects has dropped none.
            let passed = |stage: &StageReader| stage.layout.files(PartFileKind::Rows);
            for stage in stages.iter().filter(|_| rejects) {
                if !passed(stage).raised()?.is_empty() {
                    let origin = Origin::Tables(Vec::new());
                    return Ok(Rows { origin, schema: reject_schema() });
                }
            }
            let what = if rejects { "no rejected rows" } else { "no rows" };
            let place = stage.map_or_else(String::new, |name| format!(" of its stage {name}"));
            Err(message(format!("{}: {what}{place} are kept", run.display())))
        },
    )
}

/// The samples of shards: shard, key, caption, json, and with `images` extension and image.
#[pyfunction]
pub fn read_shards(py: Python<'_>, shards: Vec<String>, images: bool) -> PyResult<Rows> {
    interruptible(
        py,
        || {},
        move || {
            let mut all = Vec::new();
            for spec in &shards {
                all.extend(clip_corpus::expand(spec).raised()?);
            }
            Ok(Rows { origin: Origin::Shards(all, images), schema: shard_rows::schema(images) })
        },
    )
}
