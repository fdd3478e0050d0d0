//! `clip-data queries`: the list of queries that captions are matched against.

mod build;
mod stats;

use std::process::ExitCode;

use clap::Subcommand;

/// Arguments of `clip-data queries`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant, reason = "made once")]
enum Task {
    /// Build a list from a Wikipedia dump or any text, word counts, page views and WordNet
    Build(build::Args),
    /// Say what a list holds, where it came from, and what it finds in captions or found in a run
    Stats(stats::Args),
}

/// Builds or looks.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.task {
        Task::Build(args) => build::run(args)?,
        Task::Stats(args) => stats::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}
