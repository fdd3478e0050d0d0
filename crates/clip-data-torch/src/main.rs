//! The torch half of the command line: `clip-data` becomes this executable once it has found
//! libtorch.

// Every line that is printed goes through these: see `clip_cli::printable`.
#[macro_use(print, println, eprintln, note)]
extern crate clip_cli;

mod convert;
mod detector;
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
use clip_torch::tch::Device;

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
    let result = match command {
        TorchCommand::Train(args) => train::run(*args),
        TorchCommand::Detector { task } => detector::run(task),
        TorchCommand::Eval { task } => eval::run(task),
        TorchCommand::Embed(args) => embed::run(args),
        TorchCommand::Score(args) => score::run(&args),
        TorchCommand::ServeScores(args) => score::serve(&args),
        TorchCommand::Convert(args) => convert::run(args),
    };
    result.unwrap_or_else(|error| exit::report(&error))
}

/// The first GPU where there is one, else the processor.
fn device(name: &str) -> anyhow::Result<Device> {
    const HINT: &str = "hint: set CLIP_DATA_LIBTORCH to the `torch` folder of pip's torch, which brings CUDA's libraries";
    Ok(match name {
        "auto" => {
            if let Some(fault) = clip_torch::cuda_fault() {
                eprintln!("warning: this machine's GPU is not used: {fault}\n{HINT}");
            }
            Device::cuda_if_available()
        }
        "cpu" => Device::Cpu,
        "cuda" if clip_torch::tch::Cuda::is_available() => Device::Cuda(0),
        "cuda" => {
            let fault =
                clip_torch::cuda_fault().map_or(String::new(), |fault| format!(": {fault}"));
            anyhow::bail!("--device cuda: libtorch sees no GPU{fault}\n{HINT}")
        }
        other => anyhow::bail!("--device {other}: one of auto, cpu, cuda"),
    })
}
