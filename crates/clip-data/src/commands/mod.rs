//! The commands, one file each.

pub mod build;
pub mod card;
pub mod classifier;
pub mod clean;
pub mod cluster;
pub mod contamination;
pub mod doctor;
pub mod explain;
pub mod fetch;
pub mod filter;
mod fire;
pub mod forget;
pub mod hash;
pub mod init;
pub mod inspect;
pub mod plan;
pub mod politeness;
pub mod pull;
pub mod queries;
pub mod report;
pub mod reshard;
pub mod retry;
pub mod serve;
pub mod shell;
pub mod verify;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use clap::builder::{PathBufValueParser, TypedValueParser};
use clip_cli::{counted, exit};
use clip_crawl::dataset;
use clip_pipeline::{Config, PartFileKind};

/// The pipeline that a command is about, with the settings that were changed for the build.
#[derive(clap::Args)]
pub struct PipelineArgs {
    /// The pipeline; a folder means its pipeline.toml
    #[arg(short, long, default_value = "pipeline.toml", value_parser = pipeline_file())]
    pub config: PathBuf,
    /// Change a setting, as in `--set balance.limit=500`
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl PipelineArgs {
    /// Whether one other than that of the working directory was named.
    pub fn is_named(&self) -> bool {
        self.config != Path::new("pipeline.toml")
    }

    /// Reads it.
    pub fn load(&self) -> clip_pipeline::Result<Config> {
        Config::load(&self.config, &self.set)
    }
}

/// The pipeline that a path names.
fn pipeline_file() -> impl TypedValueParser<Value = PathBuf> {
    let file = |path: PathBuf| if path.is_dir() { path.join("pipeline.toml") } else { path };
    PathBufValueParser::new().map(file)
}

/// The `--set` options of a printed command. A proxy, or a URL with a user, may hold a password and
/// is left out.
fn set_options(set: &[String]) -> String {
    let shown = |item: &String| {
        let key = item.split('=').next().unwrap_or_default();
        let hidden = item.contains('@') || item.contains("proxy");
        let item = if hidden { format!("{key}=…") } else { item.clone() };
        format!(" --set {}", dataset::shell_word(Path::new(&item)))
    };
    set.iter().map(shown).collect()
}

/// Refuses a path that is not there; `what` is printed before it.
fn require(what: &str, path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    ensure!(path.exists(), "{what}{shown}: no such file or folder\n{}", exit::CHECK_PATH);
    Ok(())
}

/// Refuses a file that several of the paths name: its rows would count more than once.
fn refuse_twice<'a>(files: impl IntoIterator<Item = &'a Path>) -> anyhow::Result<()> {
    let mut seen = HashSet::new();
    for file in files {
        let whole = file.canonicalize().unwrap_or_else(|_| file.to_path_buf());
        let shown = file.display();
        ensure!(
            seen.insert(whole),
            "{shown}: given twice, and its rows would count twice\nhint: name it once"
        );
    }
    Ok(())
}

/// Whether a file of a stage's manifest is the tar of a shard.
fn is_tar(name: &str) -> bool {
    PartFileKind::from_name(name) == Some(PartFileKind::Shard)
        && clip_corpus::is_shard(Path::new(name))
}

/// Refuses the folder of a `score` or `embed` that is not finished: a share of it is no share of
/// the pool.
fn require_parts<'a>(folders: impl IntoIterator<Item = &'a Path>) -> anyhow::Result<()> {
    for folder in folders {
        let missing = clip_corpus::missing_parts(folder);
        if missing > 0 {
            let (folder, parts) = (folder.display(), counted(missing, "part"));
            let why = format!(
                "{folder}: unfinished, {parts} not there yet\nhint: the same `clip-data score` or `embed` resumes"
            );
            return Err(clip_pipeline::Error::stage("score", why).into());
        }
    }
    Ok(())
}

/// What resumes a fetch.
const RESUMES: &str = "hint: run the same `clip-data fetch` again: it resumes";

/// Refuses the folder of a fetch that has no shard yet, and warns of one that lacks some.
fn fetch_has_shards(folder: &Path) -> anyhow::Result<()> {
    if clip_crawl::dataset::is_begun(folder) {
        let why = format!("{}: unfinished, no shard is whole yet\n{RESUMES}", folder.display());
        return Err(clip_pipeline::Error::stage("fetch", why).into());
    }
    if let Some(lacking) = unfinished(folder) {
        eprintln!("warning: {lacking}\n{RESUMES}");
    }
    Ok(())
}

/// That the fetch of a folder is not finished, where it is not.
fn unfinished(folder: &Path) -> Option<String> {
    let begun = clip_crawl::dataset::unfinished(folder);
    let begun = (begun > 0).then(|| counted(begun, "shard"))?;
    Some(format!("{}: its fetch is not finished: {begun} begun, and not written", folder.display()))
}

/// The shards that a specification names, as files that are there.
fn shards(spec: &str) -> anyhow::Result<Vec<PathBuf>> {
    fetch_has_shards(Path::new(spec))?;
    there(clip_corpus::expand(spec)?)
}

/// The same, also where other shards of a folder are gone.
fn shards_present(spec: &str) -> anyhow::Result<Vec<PathBuf>> {
    fetch_has_shards(Path::new(spec))?;
    there(clip_corpus::expand_present(spec)?)
}

fn there(shards: Vec<PathBuf>) -> anyhow::Result<Vec<PathBuf>> {
    if let Some(absent) = shards.iter().find(|shard| !shard.is_file()) {
        bail!(
            "{}: no such file\nhint: a file, a folder, a::b, {{000..012}} or a glob is wanted; a relative path begins in the folder that the command runs in",
            absent.display()
        );
    }
    Ok(shards)
}

/// Refuses an archive of Common Crawl where a list is wanted.
fn no_archive(path: &Path) -> anyhow::Result<()> {
    let name = path.to_string_lossy().to_lowercase();
    if path.is_file() && [".wat.gz", ".warc.gz", ".wat", ".warc"].iter().any(|e| name.ends_with(e))
    {
        let kind = if name.contains(".wat") { "wat" } else { "warc" };
        bail!(
            "{}: an archive of Common Crawl, not a list\n\
             hint: `clip-data init --from {kind}` and `clip-data build --until collect` read its pairs",
            path.display()
        );
    }
    Ok(())
}
