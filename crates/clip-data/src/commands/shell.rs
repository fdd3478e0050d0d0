//! `clip-data completions` and `clip-data man`: for shells and for people.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;

/// Arguments of `clip-data completions`.
#[derive(clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Arguments of `clip-data man`.
#[derive(clap::Args)]
pub struct ManArgs {
    /// Folder to write the pages to, one for each command
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
}

/// Prints the script that completes commands and options.
pub fn completions(args: CompletionsArgs, mut command: Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "clip-data", &mut script);
    // For bash, clap_complete 4.6 spells the hyphen of the executable's name in two ways, and no
    // options of commands would be found.
    let script = String::from_utf8_lossy(&script).replace("clip__subcmd__data", "clip__data");
    print!("{script}");
    Ok(ExitCode::SUCCESS)
}

/// Writes the pages.
pub fn man(args: ManArgs, command: Command) -> anyhow::Result<ExitCode> {
    let out = || args.out.display().to_string();
    std::fs::create_dir_all(&args.out).with_context(out)?;
    clap_mangen::generate_to(command, &args.out).with_context(out)?;
    println!("man pages: {}", args.out.display());
    Ok(ExitCode::SUCCESS)
}
