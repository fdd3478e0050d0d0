//! `clip-data clean`: removes what earlier settings of a run left.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clip_pipeline::Run;
use indicatif::HumanBytes;

use super::PipelineArgs;
use crate::recipe;

/// Arguments of `clip-data clean`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Print what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Removes the folders of stages that neither this pipeline nor the last build has, and prints
/// what that frees. Nothing is removed from object storage.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let plan = recipe::plan(&args.pipeline.load()?)?;
    if !plan.layout.dir().is_dir() {
        println!("{}: nothing is here", plan.layout.dir().display());
        return Ok(ExitCode::SUCCESS);
    }
    // Locked: a build that is at work has settings of its own.
    let run = Run::open(plan, false, Arc::new(AtomicBool::new(false)), Arc::new(()))?;
    let stale = run.stale_stages()?;
    for stage in &stale {
        if !args.dry_run {
            run.remove_stale(stage)?;
        }
        println!("{:>12}  {}", HumanBytes(stage.bytes).to_string(), stage.layout.dir().display());
    }
    let bytes = stale.iter().map(|stage| stage.bytes).sum();
    let verb = if args.dry_run { "would be freed" } else { "freed" };
    println!("{:>12}  {verb}, stages removed: {}", HumanBytes(bytes).to_string(), stale.len());
    Ok(ExitCode::SUCCESS)
}
