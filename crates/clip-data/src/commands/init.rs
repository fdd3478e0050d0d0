//! `clip-data init`: an annotated pipeline.toml to start from.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clip_pipeline::config::EXAMPLE;

/// Arguments of `clip-data init`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder to write it into
    #[arg(default_value = ".")]
    dir: PathBuf,
}

/// Writes the example, never over another file.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let path = args.dir.join("pipeline.toml");
    if path.exists() {
        bail!("{}: it is there already\nhint: name another folder", path.display());
    }
    clip_format::write_atomic(&path, EXAMPLE.as_bytes()).context("the example was not written")?;
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}
