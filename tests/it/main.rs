//! The executables from outside: commands as a user types them, on real files and real processes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod array_jobs;
mod bad_input;
mod block;
mod book;
mod build;
mod card;
mod cluster;
mod coming_from;
mod contamination;
mod corpus;
mod engines;
mod evaluation;
mod fetch;
mod fetch_store;
mod filter;
mod foreign_shards;
mod forget;
mod hosts;
mod install;
mod labels;
mod languages;
mod lean;
mod models;
mod pairs;
mod politeness;
mod preprocess;
mod proxy_tls;
mod quality;
mod queries;
mod requests;
mod resume;
mod retrain;
mod score;
mod select;
mod semantic;
mod shuffle;
mod stop;
mod store;
mod stream;
mod torch;
mod train_flags;
mod trust;
mod versions;
mod world;
