//! Stages, plan, fingerprints, executor, resume, events and `pipeline.toml`.
//!
//! A pipeline is a chain of stages. A stage's unit of work is a part; a part is committed by giving
//! its files their names and then adding one line to the stage's manifest. Whatever has no line is
//! done again, and because a part's bytes depend on its input, configuration and seed alone, it
//! comes out the same.

mod clean;
pub mod config;
mod context;
mod decision;
mod error;
mod event;
mod fingerprint;
mod format;
pub mod layout;
mod part;
mod plan;
mod reader;
mod run;
mod stage;
mod store;
mod stream;
mod summary;

pub use clean::StaleStage;
pub use clip_corpus::{Counts, row_id};
pub use config::Config;
pub use context::Context;
pub use decision::{DecisionSink, read_decisions};
pub use error::{Error, Result};
pub use event::{Event, Progress};
pub use fingerprint::{Fingerprint, hash_resource};
pub use layout::{FileKind, RunLayout, StageLayout};
pub use part::{PartInfo, PartSink, Reject, image_bytes};
pub use plan::{Plan, PlannedStage, Status};
pub use reader::{RunReader, StageReader, row_of};
pub use run::{Engine, LocalEngine, Outcome, Run, Selection};
pub use stage::{Barrier, Fetch, Map, QueryEngine, Sink, Source, StageSpec, Work, Written};
pub use store::RunStore;
pub use stream::RowStream;
pub use summary::{RunSummary, StageFile, StageSummary};
