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
    Replacement, Uids, check_embeddings, check_table, count_in_embeddings, count_in_shard,
    count_in_subset, forget_embeddings, forget_in_shard, forget_in_subset, forget_in_table,
    lacks_uids, lock_file, subset_ids,
};
use clip_pipeline::{
    ForgottenRows, RunLayout, block_entries, check_forget, count_in_run, forget_in_run,
};

use super::reshard::{META, SAMPLE_IDS};

/// Arguments of `clip-data forget`.
#[derive(clap::Args)]
pub struct Args {
    /// The uids: text with one a line, or a subset file (.npy)
    #[arg(long, value_name = "FILE")]
    uids: PathBuf,
    /// Runs, shards (folders, a::b, {000..012}, globs), embeddings in clip-retrieval's layout,
    /// tables (.parquet, or a folder of them, as `score` writes), subset files (.npy)
    #[arg(required = true)]
    paths: Vec<String>,
    /// Folders of trainings: which of their steps and checkpoints have seen shards that the uids
    /// are in
    #[arg(long, value_name = "DIR", num_args = 1..)]
    training: Vec<PathBuf>,
    /// Add the URLs and SHA-256 of the pairs that a run has of them to urls.txt and sha256.txt of
    /// this folder, for [block]: they keep the pairs out when the run is built anew
    #[arg(long, value_name = "DIR", conflicts_with = "dry_run")]
    block_lists: Option<PathBuf>,
    /// Count what would be removed, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Removes, and prints what was removed from each path. Nothing is changed before all of them are
/// known to be such as rows can be removed from.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let uids = Uids::read(&args.uids)?;
    let targets = args.paths.iter().map(|path| Ok((path, Target::find(path, &uids)?)));
    let targets: Vec<(&String, Target)> = targets.collect::<anyhow::Result<_>>()?;
    // Trainings know shards by their content: before it changes.
    let trainings = training::Trainings::read(&args.training)?;
    if !trainings.is_empty() {
        let mut shards = Vec::new();
        for (_, target) in &targets {
            shards.extend(target.shards()?);
        }
        trainings.print(&shards, &uids)?;
    }
    let mut removed = 0;
    for (path, target) in targets {
        removed += if args.dry_run {
            target.count(path, &uids)?
        } else {
            target.forget(path, &uids, args.block_lists.as_deref())?
        };
    }
    let (found, rows) = (uids.found(), counted(removed, "row"));
    let verb = if args.dry_run { "would be removed" } else { "removed" };
    println!("{rows} of {} {verb}", counted(found, "uid"));
    if removed > found as u64 {
        println!("a pair has a row in each stage and in each table that stores it");
    }
    if found < uids.len() {
        let nowhere = counted(uids.len() - found, "uid");
        println!("{nowhere} of {}: no row there has it", args.uids.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// What a path names.
enum Target {
    Run(PathBuf),
    Embeddings(PathBuf),
    /// A table, or those of a folder, as `clip-data score` writes them.
    Tables(Vec<PathBuf>),
    Subset(PathBuf),
    /// Shards, and those of them in which no pair has a uid.
    Shards(Vec<PathBuf>, Vec<PathBuf>),
}

impl Target {
    /// What a path names; refused where no row can be removed from it.
    fn find(spec: &str, uids: &Uids) -> anyhow::Result<Self> {
        let path = Path::new(spec);
        if let Some(lacking) = super::unfinished(path) {
            let why = format!(
                "{lacking}: rows in its spools are not known by their uids\n{}",
                super::RESUMES
            );
            return Err(clip_pipeline::Error::stage("fetch", why).into());
        }
        if path.is_dir() && RunLayout::new(path).is_run() {
            check_forget(path)?;
            return Ok(Self::Run(path.to_path_buf()));
        }
        if path.is_dir() && path.join("metadata").is_dir() {
            check_embeddings(path)?;
            return Ok(Self::Embeddings(path.to_path_buf()));
        }
        let tables = match path.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") if path.is_file() => vec![path.to_path_buf()],
            Some("npy") if path.is_file() => {
                subset_ids(path)?.next().transpose()?;
                return Ok(Self::Subset(path.to_path_buf()));
            }
            _ if path.is_dir() => tables_alone(path)?,
            _ => Vec::new(),
        };
        if !tables.is_empty() {
            for table in &tables {
                check_table(table, uids)?;
            }
            return Ok(Self::Tables(tables));
        }
        let shards = super::shards_present(spec)?;
        if let Some(far) = shards.iter().find(|shard| !clip_corpus::is_shard(shard)) {
            bail!(
                "{}: not a .tar file here\nhint: rows are removed from local files",
                far.display()
            );
        }
        let mut lacking = Vec::new();
        for shard in &shards {
            if lacks_uids(shard)? {
                lacking.push(shard.clone());
            }
        }
        if !lacking.is_empty() && lacking.len() == shards.len() {
            let hint = "hint: a build of them ([source] kind = \"webdataset\") gives each pair a uid, and its [block] leaves out URLs and hashes";
            bail!("{spec}: no pair of it has a uid\n{hint}");
        }
        Ok(Self::Shards(shards, lacking))
    }

    /// The shards that trainings may have seen.
    fn shards(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut all = Vec::new();
        match self {
            Self::Run(run) => {
                for stage in RunLayout::new(run).stage_folders()? {
                    if stage.shards().is_dir() {
                        // What a killed call has staged is not what trainings have seen.
                        all.extend(super::shards_present(&stage.shards().display().to_string())?);
                    }
                }
            }
            Self::Shards(shards, _) => all.extend(shards.iter().cloned()),
            Self::Embeddings(_) | Self::Tables(_) | Self::Subset(_) => {}
        }
        Ok(all)
    }

    /// Prints what [`Self::forget`] removes.
    fn count(&self, spec: &str, uids: &Uids) -> anyhow::Result<u64> {
        let rows: Vec<(String, u64)> = match self {
            Self::Run(run) => {
                let stages = count_in_run(run, uids)?.into_iter();
                stages.map(|(stage, rows)| (run.join(stage).display().to_string(), rows)).collect()
            }
            Self::Embeddings(folder) => vec![(spec.to_owned(), count_in_embeddings(folder, uids)?)],
            Self::Tables(tables) => {
                let rows = tables.iter().map(|table| Ok(check_table(table, uids)?.len() as u64));
                vec![(spec.to_owned(), rows.sum::<anyhow::Result<u64>>()?)]
            }
            Self::Subset(subset) => vec![(spec.to_owned(), count_in_subset(subset, uids)?)],
            Self::Shards(shards, _) => shards
                .iter()
                .map(|shard| Ok((shard.display().to_string(), count_in_shard(shard, uids)?)))
                .collect::<anyhow::Result<_>>()?,
        };
        for (place, rows) in rows.iter().filter(|(_, rows)| *rows > 0) {
            println!("{place}: {}", counted(*rows, "row"));
        }
        Ok(rows.iter().map(|(_, rows)| rows).sum())
    }

    fn forget(&self, spec: &str, uids: &Uids, block_lists: Option<&Path>) -> anyhow::Result<u64> {
        match self {
            Self::Run(run) => {
                if let Some(folder) = block_lists {
                    // Before anything is removed: what is gone is not known any more.
                    block::write(folder, &block_entries(run, uids)?)?;
                }
                let done = forget_in_run(run, uids)?;
                print_run(run, &done, block_lists.is_some());
                Ok(done.stages.iter().map(|(_, rows)| rows).sum())
            }
            Self::Embeddings(folder) => {
                let rows = forget_embeddings(folder, uids)?;
                println!("{spec}: {}", counted(rows, "embedding"));
                Ok(rows)
            }
            Self::Tables(tables) => {
                let mut removed = 0;
                for table in tables {
                    removed += forget_in_table(table, uids)?;
                }
                println!("{spec}: {}", counted(removed, "row"));
                Ok(removed)
            }
            Self::Subset(subset) => {
                let rows = forget_in_subset(subset, uids)?;
                println!("{spec}: {}", counted(rows, "row"));
                Ok(rows)
            }
            Self::Shards(shards, lacking) => {
                let removed = forget_in_shards(shards, uids)?;
                for shard in lacking {
                    note!("{}: no pair of it has a uid", shard.display());
                }
                Ok(removed)
            }
        }
    }
}

/// The tables of a folder that has no shards.
fn tables_alone(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let files = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut files = files.with_context(|| folder.display().to_string())?;
    if files.iter().any(|file| clip_corpus::is_shard(file)) {
        return Ok(Vec::new());
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "parquet"));
    files.sort();
    Ok(files)
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

fn forget_in_shards(shards: &[PathBuf], uids: &Uids) -> anyhow::Result<u64> {
    let mut folders: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for shard in shards {
        let folder = shard.parent().map(Path::to_path_buf).unwrap_or_default();
        let name = shard.file_name().unwrap_or_default().to_string_lossy().into_owned();
        folders.entry(folder).or_default().push(name);
    }
    let mut removed = 0;
    for (folder, names) in folders {
        let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        let lock =
            lock_file(&shown.join(".lock"), false).with_context(|| shown.display().to_string())?;
        let Some(_lock) = lock else {
            bail!("{}: another process writes shards there\nhint: wait for it", shown.display());
        };
        Replacement::recover(shown)?;
        let ids = shown.join(SAMPLE_IDS);
        if ids.is_file() {
            forget_in_subset(&ids, uids)?;
        }
        let before = removed;
        for name in names {
            let mut replacement = Replacement::begin(shown)?;
            let rows = forget_in_shard(shown, &name, uids, &mut replacement)?;
            replacement.commit()?;
            if rows > 0 {
                println!("{}: {}", shown.join(&name).display(), counted(rows, "row"));
            }
            removed += rows;
        }
        less_written(&shown.join(META), removed - before)?;
    }
    Ok(removed)
}

/// Takes removed samples off what `reshard` says that it wrote.
fn less_written(meta: &Path, removed: u64) -> anyhow::Result<()> {
    if removed == 0 || !meta.is_file() {
        return Ok(());
    }
    let text = std::fs::read(meta).with_context(|| meta.display().to_string())?;
    let mut value: serde_json::Value =
        serde_json::from_slice(&text).with_context(|| meta.display().to_string())?;
    if let Some(count) = value["output_count"].as_u64() {
        value["output_count"] = count.saturating_sub(removed).into();
        clip_format::write_atomic(meta, format!("{value:#}\n").as_bytes())?;
    }
    Ok(())
}
