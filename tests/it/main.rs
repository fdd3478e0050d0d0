//! The executables from outside: commands as a user types them, on real files and real processes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bad_input;
mod build;
mod cluster;
mod contamination;
mod corpus;
mod evaluation;
mod fetch;
mod filter;
mod hosts;
mod labels;
mod models;
mod pairs;
mod politeness;
mod preprocess;
mod queries;
mod requests;
mod resume;
mod select;
mod stop;
mod store;
mod torch;
mod train_flags;
mod trust;
mod versions;
mod world;
