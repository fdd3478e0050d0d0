//! The same stages on a Ballista cluster: the scheduler, the workers, and the engine that uses
//! them.
//!
//! Scheduler and workers are Ballista's own with one list of functions, ours ([`Registry`]).
//! Queries of barriers run on the cluster as they are; every other part of a stage is a query of
//! one row, `SELECT run_part(…)`, whose function does the part on the worker and commits it to the
//! run's folder, which all must see. Ballista places the queries, and does again those of a worker
//! that went away; doing a part twice gives the same files.
//!
//! Every port answers those alone who show the cluster's [`Secret`], and what they name is in the
//! [`Roots`].

mod codec;
mod engine;
mod error;
mod files;
mod flight;
mod logging;
mod pages;
mod registry;
mod roots;
mod run_part;
mod scheduler;
mod secret;
#[cfg(test)]
mod tests;
mod worker;

pub use engine::ClusterEngine;
pub use error::{Error, Result};
pub use registry::Registry;
pub use roots::{Outside, Roots};
pub use run_part::PartRunner;
pub use scheduler::scheduler;
pub use secret::{Secret, VARIABLE, may_listen};
pub use worker::{WorkerOptions, worker};

/// Longest message between members, in bytes: a plan names every part of its tables.
const MESSAGE: u32 = 1 << 30;

/// Seconds without an answer after which a member counts as gone; workers ask the scheduler at
/// least every five.
const SILENCE: u64 = 20;
