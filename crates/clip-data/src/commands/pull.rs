//! `clip-data pull`: a run out of its store, into its folder.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clip_pipeline::{Error, Run, Status};

use super::PipelineArgs;
use super::build::{funnel, write_summary};
use crate::{exit, recipe};

/// Arguments of `clip-data pull`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
}

/// Copies every committed file that is not there yet, and checks it by its hash.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.pipeline.load()?;
    let plan = recipe::plan(&config)?;
    if plan.store.is_none() {
        let hint = "hint: `store = \"s3://bucket/folder\"` in it, or `--set store=…`";
        let config = args.pipeline.config.display();
        return Err(Error::Config(format!("{config}: the run has no store\n{hint}")).into());
    }
    let run = Run::open(plan, false, Arc::new(AtomicBool::new(false)), Arc::new(()))?;
    run.download_all()?;
    let shards = write_summary(&run)?;
    print!("{}", funnel(&run));
    if let Some(shards) = shards {
        println!("shards: {}", shards.display());
    }
    if run.plan.stages.iter().any(|stage| stage.status != Status::Reuse) {
        eprintln!("incomplete: parts are missing there, too\nhint: `clip-data build` resumes");
        return Ok(ExitCode::from(exit::INCOMPLETE));
    }
    Ok(ExitCode::SUCCESS)
}
