//! The torch half of the command line: `clip-data` becomes this executable once it has found
//! libtorch.

// Every line that is printed goes through these: see `clip_cli::printable`.
#[macro_use(print, println, eprintln, note)]
extern crate clip_cli;

mod convert;
mod detector;
mod device;
mod embed;
mod eval;
mod exit;
mod model;
mod row_progress;
mod score;
mod train;

use std::process::ExitCode;

use clap::Parser;
use clip_cli::CommonArgs;
use clip_cli::torch::TorchCommand;

/// Train CLIP and evaluate it (called by `clip-data`, which finds libtorch).
#[derive(Parser)]
#[command(
    name = "clip-data",
    bin_name = "clip-data",
    version,
    propagate_version = true,
    max_term_width = 100
)]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: TorchCommand,
}

fn main() -> ExitCode {
    if let Err(error) = clip_cli::Stop::install(exit::STOPPING) {
        return exit::report(&error.into());
    }
    let Cli { common, command } = Cli::parse();
    common.apply();
    let result = clip_torch::caught(|| match command {
        TorchCommand::Train(args) => train::run(*args),
        TorchCommand::Detector { task } => detector::run(task),
        TorchCommand::Eval { task } => eval::run(task),
        TorchCommand::Embed(args) => embed::run(args),
        TorchCommand::Score(args) => score::run(&args),
        TorchCommand::ServeScores(args) => score::serve(&args),
        TorchCommand::Convert(args) => convert::run(args),
    });
    let result = result.unwrap_or_else(|error| Err(error.into()));
    result.unwrap_or_else(|error| exit::report(&error))
}
