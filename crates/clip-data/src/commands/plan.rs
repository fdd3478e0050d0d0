//! `clip-data plan`: what a build would run, reuse or redo, and why.

use std::path::PathBuf;
use std::process::ExitCode;

use clip_pipeline::{Config, Status};

use crate::recipe;

/// Arguments of `clip-data plan`.
#[derive(clap::Args)]
pub struct Args {
    /// The pipeline
    #[arg(short, long, default_value = "pipeline.toml")]
    config: PathBuf,
    /// Change a setting, as in `--set balance.limit=500`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Show every setting as it will be used
    #[arg(long)]
    explain: bool,
}

/// Prints a line for each stage.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config, &args.set)?;
    let plan = recipe::plan(&config)?;
    println!("run {}", plan.dir.display());
    if let Some(store) = &plan.store {
        println!("store {}", store.address());
    }
    for (number, stage) in plan.stages.iter().enumerate() {
        let (word, why) = match &stage.status {
            Status::Reuse => ("reuse", String::new()),
            Status::Resume { done, parts } => {
                ("resume", format!("{done} of {parts} parts are there"))
            }
            Status::Run(changes) if changes.is_empty() => ("run", String::new()),
            Status::Run(changes) => ("redo", changes.join("; ")),
        };
        println!("{number:>3} {:<10} {word:<7} {} {why}", stage.name(), &stage.hash[..8]);
        if args.explain {
            println!("{:#}", stage.print.config);
            for (name, hash) in &stage.print.resources {
                println!("    {name} {}", &hash[..16]);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
