//! `clip-data forget`: removes the rows of some uids from what is stored, and names the trainings
//! that have seen them.

mod block;
mod training;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clip_cli::counted;
use clip_corpus::{
    Replacement, Uids, forget_embeddings, forget_in_shard, forget_in_subset, forget_in_table,
    lacks_uids, lock_file,
};
use clip_pipeline::{ForgottenRows, RunLayout, block_entries, forget_in_run};

/// Arguments of `clip-data forget`.
#[derive(clap::Args)]
pub struct Args {
    /// The uids: text with one a line, or a subset file (.npy)
    #[arg(long, value_name = "FILE")]
    uids: PathBuf,
    /// Runs, shards (folders, a::b, {000..012}, globs), embeddings in clip-retrieval's layout,
    /// tables (.parquet), subset files (.npy)
    #[arg(required = true)]
    paths: Vec<String>,
    /// Folders of trainings: which of their steps and checkpoints have seen shards that the uids
    /// are in
    #[arg(long, value_name = "DIR", num_args = 1..)]
    training: Vec<PathBuf>,
    /// Add the URLs and SHA-256 of the pairs that a run has of them to urls.txt and sha256.txt of
    /// this folder, for [block]: they keep the pairs out when the run is built anew
    #[arg(long, value_name = "DIR")]
    block_lists: Option<PathBuf>,
}

/// Removes, and prints what was removed from each path.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let uids = Uids::read(&args.uids)?;
    // Trainings know shards by their content: before it changes.
    let trainings = training::Trainings::read(&args.training)?;
    let mut removed = 0;
    for path in &args.paths {
        removed += one(path, &uids, &trainings, args.block_lists.as_deref())?;
    }
    println!("{} of {} removed", counted(removed, "row"), counted(uids.len(), "uid"));
    Ok(ExitCode::SUCCESS)
}

fn one(
    spec: &str,
    uids: &Uids,
    trainings: &training::Trainings,
    block_lists: Option<&Path>,
) -> anyhow::Result<u64> {
    let path = Path::new(spec);
    if path.is_dir() && RunLayout::new(path).is_run() {
        for stage in RunLayout::new(path).stage_folders()? {
            if stage.shards().is_dir() && !trainings.is_empty() {
                // What a killed call has staged is not what trainings have seen.
                trainings.print(&super::shards(&stage.shards().display().to_string())?, uids)?;
            }
        }
        if let Some(folder) = block_lists {
            // Before anything is removed: what is gone is not known any more.
            block::write(folder, &block_entries(path, uids)?)?;
        }
        let done = forget_in_run(path, uids)?;
        print_run(path, &done, block_lists.is_some());
        return Ok(done.stages.iter().map(|(_, rows)| rows).sum());
    }
    if path.is_dir() && path.join("metadata").is_dir() {
        let rows = forget_embeddings(path, uids)?;
        println!("{spec}: {}", counted(rows, "embedding"));
        return Ok(rows);
    }
    let rows = match path.extension().and_then(|extension| extension.to_str()) {
        Some("parquet") if path.is_file() => forget_in_table(path, uids)?,
        Some("npy") if path.is_file() => forget_in_subset(path, uids)?,
        _ => return shards(spec, uids, trainings),
    };
    println!("{spec}: {}", counted(rows, "row"));
    Ok(rows)
}

fn print_run(path: &Path, done: &ForgottenRows, listed: bool) {
    for (stage, rows) in &done.stages {
        println!("{}: {}", path.join(stage).display(), counted(*rows, "row"));
    }
    if !done.carriers.is_empty() {
        println!("captions of removed copies may be with these pairs, which are still there:");
        done.carriers.iter().for_each(|uid| println!("  {uid}"));
    }
    if !done.copies.is_empty() {
        let count = counted(done.copies.len(), "pair");
        println!(
            "{count} with the same image as a removed one, which deduplication dropped, are still in the run's folder:"
        );
        done.copies.iter().for_each(|uid| println!("  {uid}"));
        println!("to remove them, too: `clip-data forget` with these lines as --uids");
    }
    if !done.stages.is_empty() && !listed {
        println!(
            "hint: a build with other settings collects these pairs again from its sources: [block] urls and sha256 keep them out, and --block-lists DIR writes both"
        );
    }
}

fn shards(spec: &str, uids: &Uids, trainings: &training::Trainings) -> anyhow::Result<u64> {
    let shards = super::shards(spec)?;
    if let Some(far) = shards.iter().find(|shard| !clip_corpus::is_shard(shard)) {
        bail!("{}: not a .tar file here\nhint: rows are removed from local files", far.display());
    }
    trainings.print(&shards, uids)?;
    let mut folders: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for shard in &shards {
        let folder = shard.parent().map(Path::to_path_buf).unwrap_or_default();
        let name = shard.file_name().unwrap_or_default().to_string_lossy().into_owned();
        folders.entry(folder).or_default().push(name);
    }
    let (mut removed, mut lacking) = (0, Vec::new());
    for (folder, names) in folders {
        let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        let lock =
            lock_file(&shown.join(".lock"), false).with_context(|| shown.display().to_string())?;
        let Some(_lock) = lock else {
            bail!("{}: another process writes shards there\nhint: wait for it", shown.display());
        };
        Replacement::recover(shown)?;
        for name in names {
            let mut replacement = Replacement::begin(shown)?;
            let rows = forget_in_shard(shown, &name, uids, &mut replacement)?;
            replacement.commit()?;
            if rows > 0 {
                println!("{}: {}", shown.join(&name).display(), counted(rows, "row"));
            }
            if rows == 0 && lacks_uids(&shown.join(&name))? {
                lacking.push(shown.join(&name));
            }
            removed += rows;
        }
    }
    if !lacking.is_empty() && lacking.len() == shards.len() {
        let hint = "hint: a build of them ([source] kind = \"webdataset\") gives each pair a uid, and its [block] leaves out URLs and hashes";
        bail!("{spec}: no pair of it has a uid\n{hint}");
    }
    for shard in lacking {
        note!("{}: no pair of it has a uid", shard.display());
    }
    Ok(removed)
}
