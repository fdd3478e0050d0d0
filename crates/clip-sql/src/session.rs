//! A DataFusion session with our functions, bounded memory and results that do not depend on the
//! machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use clip_pipeline::{Context, QueryEngine};
use datafusion::config::SpillCompression;
use datafusion::datasource::MemTable;
use datafusion::datasource::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use rayon::prelude::*;
use tokio::runtime::Runtime;

use crate::functions::functions;
use crate::pool::pool;
use crate::tables::{join, listing};
use crate::{Error, Query, Result};

/// Partitions of every plan: fixed, so that a plan is the same on any machine.
const PARTITIONS: usize = 4;
/// Bytes that sorts, joins and aggregates of a session may hold before they spill.
const MEMORY: usize = 3 << 29;

/// Files of a table. More are joined first: a query has most of its files open at once, and each
/// costs it a millisecond.
const MOST_FILES: usize = 8192;
/// Rows that are read at a time where a file may be damaged.
const BATCH: usize = 8192;
/// Where these are in the scratch folder, as long as the session lives.
const JOINED: &str = "joined";

/// Runs queries over tables of Parquet parts.
pub struct Session {
    backend: Backend,
    scratch: PathBuf,
    /// The files of each table.
    files: Mutex<BTreeMap<String, Vec<PathBuf>>>,
}

/// Where queries run.
enum Backend {
    /// In this process, on threads of the session's own.
    Local { context: SessionContext, runtime: Option<Runtime> },
    /// Where an engine runs them.
    Remote { engine: Arc<dyn QueryEngine> },
}

/// The settings that every session has, here or on a cluster.
pub fn config(config: SessionConfig) -> SessionConfig {
    let mut config = config.with_target_partitions(PARTITIONS);
    let options = config.options_mut();
    // Our schemas say Utf8; views would come back as another type.
    options.execution.parquet.schema_force_view_types = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    // Statistics steer join order by file sizes, and cost a footer a part.
    options.execution.collect_statistics = false;
    // The buffers of a repartition cannot spill and starve the sorts behind it: sort the parts,
    // then merge.
    options.optimizer.repartition_windows = false;
    options.optimizer.enable_round_robin_repartition = false;
    // Disk is scarcer than processors where a sort is larger than memory.
    options.execution.spill_compression = SpillCompression::Lz4Frame;
    config
}

impl Session {
    /// The session of a barrier: on the engine that the run has for queries, else in this process.
    pub fn for_barrier(cx: &Context) -> Result<Self> {
        let Some(engine) = cx.queries() else { return Self::new(cx.scratch()) };
        std::fs::create_dir_all(cx.scratch()).map_err(|e| Error::io(cx.scratch(), e))?;
        let backend = Backend::Remote { engine };
        Ok(Self { backend, scratch: cx.scratch().to_path_buf(), files: Mutex::default() })
    }

    /// A session that spills into `scratch`: 512 MiB of sorts, and up to 1 GiB for merging them.
    pub fn new(scratch: &Path) -> Result<Self> {
        Self::with_memory(scratch, MEMORY)
    }

    /// A session that spills into `scratch` beyond `memory` bytes.
    pub fn with_memory(scratch: &Path, memory: usize) -> Result<Self> {
        std::fs::create_dir_all(scratch).map_err(|e| Error::io(scratch, e))?;
        let disk = DiskManagerMode::Directories(vec![scratch.to_path_buf()]);
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(pool(memory))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(disk))
            .build_arc()
            .map_err(|e| Error::query("session", e))?;
        let mut config = config(SessionConfig::new());
        // What each sort keeps back to merge its spilled runs; DataFusion's 10 MB may be more than
        // there is.
        let reserve = &mut config.options_mut().execution.sort_spill_reservation_bytes;
        *reserve = (*reserve).min(memory / 64);
        let context = SessionContext::new_with_config_rt(config, environment);
        for function in functions() {
            context.register_udf((*function).clone());
        }
        let backend = Backend::Local { context, runtime: Some(runtime(scratch)?) };
        Ok(Self { backend, scratch: scratch.to_path_buf(), files: Mutex::default() })
    }

    /// Makes a table of Parquet files that share a schema.
    ///
    /// # Errors
    /// When there is no file, or none can be read.
    pub fn table(&self, name: &str, parts: &[PathBuf]) -> Result<()> {
        self.table_of_columns(name, parts, &[])
    }

    /// The same of files that any program may have written: each page's header is passed before
    /// the engine reads it.
    ///
    /// # Errors
    /// As those of [`Self::table`], and when a file is damaged.
    pub fn foreign_table(&self, name: &str, files: &[PathBuf]) -> Result<()> {
        files.par_iter().try_for_each(|file| clip_corpus::check_pages(file))?;
        self.table(name, files)
    }

    /// The same for these queries alone: where files are joined, only their columns are copied.
    ///
    /// # Errors
    /// As those of [`Self::table`].
    pub fn table_for(&self, queries: &[&Query], name: &str, parts: &[PathBuf]) -> Result<()> {
        let inputs = queries.iter().flat_map(|query| &query.inputs);
        let columns = inputs.filter(|input| input.table == name).flat_map(|input| &input.columns);
        self.table_of_columns(name, parts, &columns.map(String::as_str).collect::<Vec<_>>())
    }

    fn table_of_columns(&self, name: &str, parts: &[PathBuf], columns: &[&str]) -> Result<()> {
        let joined = if parts.len() > MOST_FILES {
            join(parts, columns, &self.scratch.join(JOINED).join(name))?
        } else {
            parts.to_vec()
        };
        match &self.backend {
            Backend::Local { context, .. } => register(context, name, listing(name, &joined)?)?,
            Backend::Remote { .. } if joined.is_empty() => {
                return Err(Error::NoParts { table: name.to_owned() });
            }
            Backend::Remote { .. } => {}
        }
        lock(&self.files).insert(name.to_owned(), joined);
        Ok(())
    }

    /// Takes a table away, before its files go.
    pub fn remove_table(&self, name: &str) -> Result<()> {
        if let Backend::Local { context, .. } = &self.backend {
            context.deregister_table(name).map_err(|e| Error::query(name, e))?;
        }
        lock(&self.files).remove(name);
        Ok(())
    }

    /// Makes a table of rows: in memory, or in a file for the engine.
    pub fn rows(&self, name: &str, schema: SchemaRef, rows: Vec<RecordBatch>) -> Result<()> {
        match &self.backend {
            Backend::Local { context, .. } => {
                let table = MemTable::try_new(schema, vec![rows]);
                register(context, name, Arc::new(table.map_err(|e| Error::query(name, e))?))
            }
            Backend::Remote { .. } => {
                let path = self.scratch.join(format!("{name}.parquet"));
                clip_corpus::write_parquet(&path, schema, &rows)?;
                self.table(name, &[path])
            }
        }
    }

    /// Makes the table `rejects` of the reject files of stages, with the stage as a column.
    pub fn rejects(&self, stages: &[(String, Vec<PathBuf>)]) -> Result<()> {
        let mut selects = Vec::new();
        for (place, (stage, parts)) in
            stages.iter().filter(|(_, parts)| !parts.is_empty()).enumerate()
        {
            let table = format!("rejects_{place}");
            self.table(&table, parts)?;
            let stage = stage.replace('\'', "''");
            selects.push(format!("SELECT '{stage}' AS stage, * FROM {table}"));
        }
        if selects.is_empty() {
            return Err(Error::NoParts { table: "rejects".to_owned() });
        }
        self.sql(&format!("CREATE OR REPLACE VIEW rejects AS {}", selects.join(" UNION ALL ")))?;
        Ok(())
    }

    /// Runs any statement.
    pub fn sql(&self, text: &str) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        self.each_of(text, |batch| {
            batches.push(batch);
            Ok(())
        })?;
        Ok(batches)
    }

    /// Runs any statement and visits its rows batch by batch, without holding them.
    pub fn each_of(
        &self,
        text: &str,
        mut visit: impl FnMut(RecordBatch) -> Result<()> + Send,
    ) -> Result<()> {
        let name: String = text.trim().chars().take(40).collect();
        self.stream(&name, text, &mut visit)
    }

    /// Not generic: DataFusion's planner would be compiled anew in every crate that calls it.
    fn stream(
        &self,
        name: &str,
        text: &str,
        visit: &mut (dyn FnMut(RecordBatch) -> Result<()> + Send),
    ) -> Result<()> {
        let (context, runtime) = match &self.backend {
            Backend::Local { context, runtime } => (context, runtime),
            Backend::Remote { engine } => {
                let tables = lock(&self.files).clone();
                let mut visit = |batch| visit(batch).map_err(|error| error.into_stage_error(name));
                return Ok(engine.query(&tables, text, &mut visit)?);
            }
        };
        let mut visited = Ok(());
        let run = async {
            let mut batches = context.sql(text).await?.execute_stream().await?;
            while let Some(batch) = batches.next().await {
                visited = visit(batch?);
                if visited.is_err() {
                    break;
                }
            }
            Ok::<(), DataFusionError>(())
        };
        wait(runtime.as_ref(), run)
            .map_err(|e| self.damaged(&e).unwrap_or_else(|| Error::query(name, e)))?;
        visited
    }

    /// The table's file that a query may have failed for: DataFusion names none.
    fn damaged(&self, error: &DataFusionError) -> Option<Error> {
        if !may_be_damage(error) {
            return None;
        }
        let files: Vec<PathBuf> = lock(&self.files).values().flatten().cloned().collect();
        let whole =
            |path: &PathBuf| clip_corpus::scan(path, &[], BATCH)?.try_for_each(|b| b.map(drop));
        files.iter().find_map(|path| whole(path).err()).map(Error::Corpus)
    }

    /// Runs a query file; the result has exactly the columns that its header promises.
    pub fn run(&self, query: &Query, parameters: &[(&str, u64)]) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        self.each(query, parameters, |batch| {
            batches.push(batch);
            Ok(())
        })?;
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(query.outputs.clone()));
        }
        Ok(batches)
    }

    /// Runs a query file and visits its result batch by batch, as [`Self::run`] would give it,
    /// without holding it.
    pub fn each(
        &self,
        query: &Query,
        parameters: &[(&str, u64)],
        mut visit: impl FnMut(RecordBatch) -> Result<()> + Send,
    ) -> Result<()> {
        let text = self.checked(query, parameters)?;
        self.stream(&query.name, &text, &mut |batch| visit(conform(query, &batch)?))
    }

    /// The statement of a query, whose inputs have the columns that it reads.
    fn checked(&self, query: &Query, parameters: &[(&str, u64)]) -> Result<String> {
        let text = query.bind(parameters)?;
        for input in &query.inputs {
            let schema = self.schema(&query.name, &input.table)?;
            for column in &input.columns {
                if schema.index_of(column).is_err() {
                    let (query, table) = (query.name.clone(), input.table.clone());
                    return Err(Error::Column { query, table, column: column.clone() });
                }
            }
        }
        Ok(text)
    }

    /// The columns of a table that a query reads.
    fn schema(&self, query: &str, table: &str) -> Result<SchemaRef> {
        match &self.backend {
            Backend::Local { context, runtime } => {
                let found = wait(runtime.as_ref(), context.table_provider(table));
                Ok(found.map_err(|e| Error::query(query, e))?.schema())
            }
            Backend::Remote { .. } => {
                let first = lock(&self.files).get(table).and_then(|files| files.first().cloned());
                let none = || Error::NoParts { table: table.to_owned() };
                Ok(clip_corpus::schema_of(&first.ok_or_else(none)?)?)
            }
        }
    }
}

/// Whether bytes that were read may be the cause: not where the statement is, or a value that it
/// computes.
fn may_be_damage(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::ArrowError(error, _) => !matches!(
            **error,
            ArrowError::CastError(_)
                | ArrowError::DivideByZero
                | ArrowError::ArithmeticOverflow(_)
                | ArrowError::ComputeError(_)
        ),
        DataFusionError::ParquetError(_)
        | DataFusionError::IoError(_)
        | DataFusionError::External(_)
        | DataFusionError::Execution(_)
        | DataFusionError::ExecutionJoin(_) => true,
        _ => false,
    }
}

fn register(context: &SessionContext, name: &str, table: Arc<dyn TableProvider>) -> Result<()> {
    let failed = |e| Error::query(name, e);
    context.deregister_table(name).map_err(failed)?;
    context.register_table(name, table).map_err(failed)?;
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a future on a session's threads.
///
/// From a thread of its own: the caller may be inside another runtime, which must not be
/// blocked.
fn wait<T: Send>(
    runtime: Option<&Runtime>,
    future: impl Future<Output = std::result::Result<T, DataFusionError>> + Send,
) -> std::result::Result<T, DataFusionError> {
    let Some(runtime) = runtime else {
        return Err(DataFusionError::Internal("the session is closed".into()));
    };
    std::thread::scope(|scope| scope.spawn(|| runtime.block_on(future)).join())
        .unwrap_or_else(|_| Err(DataFusionError::Internal("the query panicked".into())))
}

impl Drop for Session {
    fn drop(&mut self) {
        // What is left is swept away with the scratch folder, at the latest.
        let _ = std::fs::remove_dir_all(self.scratch.join(JOINED));
        // Waiting for the threads is forbidden inside another runtime.
        if let Backend::Local { runtime, .. } = &mut self.backend
            && let Some(runtime) = runtime.take()
        {
            runtime.shutdown_background();
        }
    }
}

fn runtime(scratch: &Path) -> Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|e| Error::io(scratch, e))
}

/// Holds a batch to the header: names, types, nulls.
fn conform(query: &Query, batch: &RecordBatch) -> Result<RecordBatch> {
    let promised = query.outputs.fields();
    let schema = batch.schema();
    let names = |fields: &arrow::datatypes::Fields| -> Vec<String> {
        fields.iter().map(|field| field.name().clone()).collect()
    };
    if names(schema.fields()) != names(promised) {
        let reason = format!(
            "the result has columns {:?}, the header says {:?}",
            names(schema.fields()),
            names(promised)
        );
        return Err(Error::result(&query.name, reason));
    }
    let columns: std::result::Result<Vec<_>, _> = batch
        .columns()
        .iter()
        .zip(promised)
        .map(|(column, field)| cast(column, field.data_type()))
        .collect();
    let columns = columns.map_err(|e| Error::result(&query.name, e))?;
    RecordBatch::try_new(query.outputs.clone(), columns).map_err(|e| Error::result(&query.name, e))
}
