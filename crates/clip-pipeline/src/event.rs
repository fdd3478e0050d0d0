//! What a run reports to those who watch it.

use serde::Serialize;

use crate::Counts;

/// Something that happened in a run.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A stage begins; `done` of its `parts` are there already.
    StageStarted {
        /// The stage.
        stage: String,
        /// Its number of parts.
        parts: usize,
        /// Parts that an earlier run committed.
        done: usize,
        /// Rows of the parts that this run does, where they are known before they are done.
        rows: Option<u64>,
    },
    /// Rows passed through a part that is still at work.
    Rows {
        /// The stage.
        stage: String,
        /// How many.
        rows: u64,
        /// How many of them failed.
        failed: u64,
    },
    /// A part was committed.
    PartDone {
        /// The stage.
        stage: String,
        /// The part.
        part: usize,
        /// What happened in it.
        #[serde(rename = "tally")]
        counts: Counts,
    },
    /// A part failed and will be tried again, or was given up.
    PartFailed {
        /// The stage.
        stage: String,
        /// The part.
        part: usize,
        /// Why.
        message: String,
    },
    /// A stage is complete.
    StageDone {
        /// The stage.
        stage: String,
        /// The sum over its parts.
        #[serde(rename = "tally")]
        counts: Counts,
    },
    /// A line for people.
    Note {
        /// The stage.
        stage: String,
        /// The line.
        message: String,
    },
}

/// A watcher of a run.
pub trait Progress: Send + Sync {
    /// Called from any thread, often: must be quick.
    fn on(&self, event: &Event);
}

/// Drops every event.
impl Progress for () {
    fn on(&self, _: &Event) {}
}
