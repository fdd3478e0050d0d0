//! The command line: arguments in, exit code out.

// Every line that is printed goes through these: see `clip_cli::printable`.
#[macro_use(print, println, eprintln, note)]
extern crate clip_cli;

mod cluster;
mod commands;
mod counter;
mod detector_process;
mod examples;
mod exit;
mod foreign;
mod install;
mod open_files;
mod progress;
mod recipe;
#[cfg(test)]
mod reference;
mod score_process;
mod set_on_drop;
mod text_encoder;
mod torch;
mod unusable;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clip_cli::CommonArgs;
use clip_cli::torch::TorchCommand;

/// Collect (image, text) pairs, train CLIP on them, and know how much of the score is
/// contamination.
#[derive(Parser)]
#[command(name = "clip-data", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant, reason = "made once")]
enum Command {
    /// Write an annotated pipeline.toml
    Init(commands::init::Args),
    /// Build or look at the list of queries
    Queries(commands::queries::Args),
    /// Say what a build would run, reuse or redo, and why
    Plan(commands::plan::Args),
    /// Build the corpus: every stage, resumable at any moment
    Build(commands::build::Args),
    /// Remove stages of a run that earlier settings made, and say what that frees
    Clean(commands::clean::Args),
    /// Copy a run out of its object storage, checked by hashes
    Pull(commands::pull::Args),
    /// Hand out the parts of builds to workers, with `[engine] kind = "ballista"`
    Scheduler(commands::cluster::SchedulerArgs),
    /// Do parts of builds that a scheduler hands out
    Worker(commands::cluster::WorkerArgs),
    /// Fetch a list of images to a data set, with img2dataset's options
    Fetch(Box<commands::fetch::Args>),
    /// Fetch rows that failed again, in place
    Retry(commands::retry::Args),
    /// Choose the pairs of a pool: DataComp's baselines, conditions, exact fractions by a score
    Filter(Box<commands::filter::Args>),
    /// Train and ask fastText models that choose captions
    Classifier(Box<commands::classifier::Args>),
    /// Report the overlap of a corpus with evaluation sets, and its effect on scores
    Contamination(Box<commands::contamination::Args>),
    /// Statistics of any corpus, list or shard, and a page to look through it
    Inspect(commands::inspect::Args),
    /// Print what became of a pair, stage by stage, and why it was dropped
    Explain(commands::explain::Args),
    /// Say whether shards, tables, parts and manifests are whole
    Verify(commands::verify::Args),
    /// Remove rows from runs, shards, tables and embeddings by uid; name trainings that saw them
    Forget(commands::forget::Args),
    /// Write the uids of rows that meet a condition as a DataComp subset file
    Subset(commands::reshard::SubsetArgs),
    /// Cut shards anew, with all samples or those of a subset file
    Reshard(commands::reshard::Args),
    /// Perceptual hashes of images, with the bits of the Python tools, and which are near copies
    Hash(commands::hash::Args),
    /// One HTML page of a build, a training, an evaluation and its contamination
    Report(commands::report::Args),
    /// Write a data card and a model card that `verify --card` checks against their files
    Card(commands::card::Args),
    /// Local web pages over runs, shards, training runs and reports
    Serve(commands::serve::Args),
    /// Say what this machine has: libtorch, models, disk, resolver
    Doctor(commands::doctor::Args),
    /// Print the script with which a shell completes commands and options
    Completions(commands::shell::CompletionsArgs),
    /// Write man pages
    Man(commands::shell::ManArgs),
    /// What needs libtorch: `clip-data-torch` runs it.
    #[command(flatten)]
    Torch(TorchCommand),
}

/// Every command with its options and examples.
fn command() -> clap::Command {
    examples::with_examples(Cli::command())
}

fn main() -> ExitCode {
    let args = commands::fetch::normalize_flags(std::env::args_os());
    let matches = command().try_get_matches_from(args).unwrap_or_else(|error| refuse(&error));
    let Cli { common, command } = Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
    common.apply();
    run(command).unwrap_or_else(|error| exit::report(&error))
}

/// The parser's message, with a hint where an option of another tool was given.
fn refuse(error: &clap::Error) -> ! {
    if let Some(hint) = foreign::hint(error) {
        let _ = error.print();
        eprintln!("hint: {hint}");
        std::process::exit(error.exit_code());
    }
    error.exit()
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    // What becomes `clip-data-torch` takes its signals there.
    if !matches!(command, Command::Torch(_)) {
        clip_cli::Stop::install(exit::STOPPING)?;
    }
    match command {
        Command::Init(args) => commands::init::run(args),
        Command::Queries(args) => commands::queries::run(args),
        Command::Plan(args) => commands::plan::run(args),
        Command::Build(args) => commands::build::run(args),
        Command::Clean(args) => commands::clean::run(args),
        Command::Pull(args) => commands::pull::run(args),
        Command::Scheduler(args) => commands::cluster::scheduler(args),
        Command::Worker(args) => commands::cluster::worker(args),
        Command::Fetch(args) => commands::fetch::run(*args),
        Command::Retry(args) => commands::retry::run(args),
        Command::Filter(args) => commands::filter::run(*args),
        Command::Classifier(args) => commands::classifier::run(*args),
        Command::Contamination(args) => commands::contamination::run(*args),
        Command::Inspect(args) => commands::inspect::run(args),
        Command::Hash(args) => commands::hash::run(args),
        Command::Explain(args) => commands::explain::run(args),
        Command::Verify(args) => commands::verify::run(args),
        Command::Forget(args) => commands::forget::run(args),
        Command::Subset(args) => commands::reshard::subset(args),
        Command::Reshard(args) => commands::reshard::run(args),
        Command::Report(args) => commands::report::run(args),
        Command::Card(args) => commands::card::run(args),
        Command::Serve(args) => commands::serve::run(args),
        Command::Doctor(args) => commands::doctor::run(args),
        Command::Completions(args) => commands::shell::completions(args, crate::command()),
        Command::Man(args) => commands::shell::man(args, crate::command()),
        Command::Torch(command) => torch::exec(command.name()),
    }
}
