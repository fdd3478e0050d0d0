//! `clip-data plan`: what a build would run, reuse or redo, and why.

use std::process::ExitCode;

use clip_pipeline::Status;

use super::PipelineArgs;
use super::build::lacks_images;
use super::contamination::warn_of_names;
use crate::recipe;

/// Arguments of `clip-data plan`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Show every setting as it will be used
    #[arg(long)]
    explain: bool,
}

/// Prints a line for each stage.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.pipeline.load()?;
    let sets = config.check.iter().flat_map(|check| check.against.keys());
    warn_of_names(sets.map(String::as_str));
    let plan = recipe::plan(&config)?;
    // What a build refuses when it reads the list, before it says that it would run.
    if plan.stages.first().is_some_and(|collect| !matches!(collect.status, Status::Reuse)) {
        clip_crawl::check_source(&config.source, &config.base)?;
    }
    let lacking = lacks_images(&plan)?;
    println!("run {}", plan.layout.dir().display());
    if let Some(store) = &plan.store {
        println!("store {}", store.address());
    }
    let mut rows = Vec::new();
    for (number, stage) in plan.stages.iter().enumerate() {
        let (word, why) = match &stage.status {
            Status::Reuse => ("reuse", String::new()),
            Status::Resume { done, parts } => {
                ("resume", format!("{done} of {parts} parts are there"))
            }
            Status::Run(changes) if changes.is_empty() => ("run", String::new()),
            Status::Run(changes) => ("redo", changes.join("; ")),
        };
        let (number, hash) = (number.to_string(), stage.hash[..8].to_owned());
        rows.push(vec![number, stage.name().to_owned(), word.to_owned(), hash, why]);
    }
    let lines = clip_cli::table(&rows, &[0]);
    for (line, stage) in lines.lines().zip(&plan.stages) {
        println!("{line}");
        if args.explain {
            println!("{:#}", stage.fingerprint.config);
            for (name, hash) in &stage.fingerprint.resources {
                println!("    {name} {}", &hash[..16]);
            }
        }
    }
    if let Some(why) = lacking {
        eprintln!("warning: {why}");
    }
    Ok(ExitCode::SUCCESS)
}
