//! Stages, plan, fingerprints, executor, resume, events and `pipeline.toml`.
//!
//! A pipeline is a chain of stages. A stage's unit of work is a part; a part is committed by giving
//! its files their names and then adding one line to the stage's manifest. Whatever has no line is
//! done again, and because a part's bytes depend on its input, configuration and seed alone, it
//! comes out the same.
//!
//! ```
//! use std::path::Path;
//!
//! use clip_pipeline::RunLayout;
//!
//! // A stage's folder has its number, its name and the start of its fingerprint; a part's files
//! // have the part's number.
//! let run = RunLayout::new(Path::new("runs/emoji"));
//! let fetch = run.stage(6, "fetch", "3f9c1a2b77e0");
//! assert_eq!(fetch.dir(), Path::new("runs/emoji/06-fetch-3f9c1a2b"));
//! assert_eq!(fetch.rows(7), fetch.dir().join("part-00007.parquet"));
//! ```

mod clean;
mod condition;
pub mod config;
mod context;
mod decision;
mod embedded;
mod error;
mod event;
mod fingerprint;
mod forget;
mod format;
pub mod layout;
mod part;
mod plan;
mod query_engine;
mod reader;
mod run;
mod stage;
mod store;
mod stream;
mod summary;
mod trace;

pub use clean::StaleStage;
pub use clip_corpus::{Counts, row_id};
pub use condition::RowCondition;
pub use config::Config;
pub use context::Context;
pub use decision::{DecisionSink, read_decisions};
pub use embedded::PartEmbeddings;
pub use error::{Error, Result};
pub use event::{Event, Progress};
pub use fingerprint::{Fingerprint, hash_resource};
pub use forget::{
    BlockEntries, ForgottenRows, block_entries, check_forget, count_in_run, forget_in_run,
};
pub use layout::{PartFileKind, RunLayout, StageLayout};
pub use part::{PartInfo, PartSink, Reject, image_bytes, reject_schema};
pub use plan::{Plan, PlannedStage, Status};
pub use query_engine::QueryEngine;
pub use reader::{RunReader, StageReader, row_of};
pub use run::{Engine, LocalEngine, Outcome, Run, Selection};
pub use stage::{Barrier, Fetch, Map, Sink, Source, StageSpec, Work, Written};
pub use store::RunStore;
pub use stream::RowStream;
pub use summary::{RunSummary, StageFile, StageSummary};
pub use trace::{TraceOutcome, TraceStep, tables_in};
