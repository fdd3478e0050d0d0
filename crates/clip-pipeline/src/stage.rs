//! The kinds of stages: what the executor may do with a stage is its type.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use arrow::array::RecordBatch;

use crate::{Context, Counts, DecisionSink, PartInfo, PartSink, Result};

/// Makes rows out of nothing but its configuration. A host belongs to one part.
pub trait Source: Send + Sync {
    /// Number of parts: a function of the configuration and the listed inputs.
    fn parts(&self) -> Result<usize>;
    /// Writes the rows of one part, with `row` = [`crate::row_id`] of part and index.
    fn read(&self, part: usize, out: &mut PartSink, cx: &Context) -> Result<()>;
}

/// Row-local work on the CPU: parts run side by side.
pub trait Map: Send + Sync {
    /// Passes rows on, or rejects them with a reason. Called for empty parts too, to give the
    /// columns.
    fn apply(&self, batch: RecordBatch, out: &mut PartSink) -> Result<()>;
    /// Whether the batches should carry the `image` column.
    fn needs_images(&self) -> bool {
        false
    }
}

/// Row-local work that waits on the network.
pub trait Fetch: Send + Sync {
    /// How many parts may wait side by side in a process, where they share what bounds their bytes;
    /// none for as many as there are workers.
    fn parts_at_a_time(&self) -> Option<usize> {
        None
    }
    /// Passes the rows that `read` gives on in their order, whatever the order of completion. A
    /// part that waits for room need not have its rows in memory.
    fn fetch(
        &self,
        read: &dyn Fn() -> Result<RecordBatch>,
        out: &mut PartSink,
        cx: &Context,
    ) -> Result<()>;
}

/// Needs all rows at once.
pub trait Barrier: Send + Sync {
    /// Decides about every row of `inputs`, in ascending order of `row`: see [`DecisionSink`]. The
    /// executor applies the decisions part by part.
    fn decide(&self, inputs: &[PartInfo], cx: &Context, out: &mut DecisionSink) -> Result<()>;
    /// Whether it looks at the images of its inputs.
    fn needs_images(&self) -> bool {
        false
    }
    /// The stage before it whose embeddings it reads, if it reads some.
    fn needs_embeddings(&self) -> Option<&str> {
        None
    }
}

/// What a sink wrote for one unit.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// What happened to its rows.
    pub counts: Counts,
    /// The names of its files, in the folder that it was given.
    pub files: Vec<String>,
}

/// The end of the chain: turns parts into files for others.
pub trait Sink: Send + Sync {
    /// Number of files, a function of the rows in each part.
    fn units(&self, inputs: &[PartInfo]) -> usize;
    /// The inputs that a file is made of.
    fn reads(&self, unit: usize, inputs: &[PartInfo]) -> Range<usize>;
    /// Writes one file and what belongs to it into `dir`.
    fn write(&self, unit: usize, inputs: &[PartInfo], dir: &Path, cx: &Context) -> Result<Written>;
}

/// The work of a stage, ready to run.
pub enum Work {
    /// See [`Source`].
    Source(Box<dyn Source>),
    /// See [`Map`].
    Map(Box<dyn Map>),
    /// See [`Fetch`].
    Fetch(Box<dyn Fetch>),
    /// See [`Barrier`].
    Barrier(Box<dyn Barrier>),
    /// See [`Sink`].
    Sink(Box<dyn Sink>),
}

/// Makes a stage's work: opens models and lists, so it is called only when there is work to do.
pub type Build = Box<dyn Fn() -> Result<Work> + Send + Sync>;

/// A stage as configured: everything that decides its output, and how to make its work.
pub struct StageSpec {
    /// Plain name, unique in the chain.
    pub name: Cow<'static, str>,
    /// Raised when the code's output changes for the same input and configuration.
    pub version: u32,
    /// Its own configuration: never paths of the run, dates or numbers of threads.
    pub config: serde_json::Value,
    /// Files that decide the output (query list, model, evaluation sets): name and hash of the
    /// content.
    pub resources: Vec<(String, String)>,
    /// Makes the work.
    pub build: Build,
}
