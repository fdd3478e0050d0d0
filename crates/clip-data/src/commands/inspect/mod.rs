//! `clip-data inspect`: statistics of any corpus, list or shard, and a page to look through it.

mod has;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clip_cli::{Show, StatusLine};
use clip_crawl::dataset::failures;
use clip_crawl::{is_text_list, list_rows, text_lists};
use clip_pipeline::{PartFileKind, RunLayout, RunReader};
use clip_query::QueryList;
use clip_report::{Page, Reading, Survey, add_list, browse, funnel, list_columns};
use serde_json::json;

use crate::exit;

/// Causes of failed rows that are printed.
const FAILURES: usize = 20;

/// Arguments of `clip-data inspect`.
#[derive(clap::Args)]
pub struct Args {
    /// A run's folder, a folder of shards, Parquet tables or lists, shards (a::b, {000..012},
    /// globs, URLs), .parquet, or a list as a build's `[source]` reads it: txt, csv, tsv,
    /// json, jsonl, each also .gz
    #[arg(required = true)]
    paths: Vec<String>,
    /// Write a page with images, search and filters; it needs no server
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Pairs on the page
    #[arg(long, default_value_t = 300)]
    samples: usize,
    /// Print the statistics as JSON
    #[arg(long)]
    json: bool,
    /// Bits within which perceptual hashes count as near copies
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(..32))]
    radius: u32,
    /// Decode images that have no perceptual hash, to find their copies
    #[arg(long)]
    hash: bool,
    /// The query list, to name the queries
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// Is this image in the corpus? May be given again
    #[arg(long, value_name = "IMAGE")]
    has: Vec<PathBuf>,
}

/// Reads everything once, prints statistics, and writes the page when asked.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut files = Vec::new();
    for path in &args.paths {
        files.extend(corpus(path)?);
    }
    crate::commands::refuse_twice(files.iter().map(PathBuf::as_path))?;
    if !args.has.is_empty() {
        return has::run(&args.has, &files, args.radius, args.json);
    }
    if args.hash && !files.iter().any(|file| clip_corpus::is_shard(file)) {
        let hint = "hint: `clip-data hash` reads folders of images, and tables with images inside";
        bail!("--hash: the images of shards are hashed, and there is none\n{hint}");
    }
    let queries = match &args.queries {
        Some(path) => Some(QueryList::load(path)?),
        None => None,
    };
    let name = |id: u32| {
        let known = queries.as_ref().and_then(|list| list.queries().get(id as usize));
        known.map_or_else(|| format!("query {id}"), |query| query.text.clone())
    };
    let mut survey = survey(&files, args.hash, if args.html.is_some() { args.samples } else { 0 })?;
    for path in &args.paths {
        survey.damaged.extend(gone_shards(Path::new(path))?);
    }
    let duplicates = survey.duplicates(args.radius);
    if args.json {
        println!("{:#}", survey.json(&duplicates));
    } else {
        print!("{}", survey.text(&duplicates, &name));
        let failed = survey.failures.total();
        print!("{}", failures(&survey.failures.top(FAILURES), failed, survey.pairs));
        if survey.failures.len() > FAILURES {
            println!("and {} other messages", survey.failures.len() - FAILURES);
        }
        if queries.is_none() && !survey.queries.is_empty() {
            note!(
                "queries are numbers of the list that the build matched with: --queries FILE names them"
            );
        }
    }
    if let Some(path) = &args.html {
        let mut page = Page::new(&format!("corpus: {}", args.paths.join(", ")));
        browse(&mut page, &survey, &duplicates, &name);
        let runs = args.paths.iter().map(|path| RunLayout::new(Path::new(path)));
        for run in runs.filter(RunLayout::is_run) {
            page.add(&funnel(RunReader::open(run.dir())?.stages()));
        }
        page.write(path)?;
        note!("page: {}", path.display());
    }
    Ok(if survey.damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::DAMAGED) })
}

fn survey(files: &[PathBuf], hash: bool, samples: usize) -> anyhow::Result<Survey> {
    let mut survey = Survey::new(samples);
    let total = files.len();
    let status = StatusLine::new(Show::default_here(), "inspect", Some(total as u64));
    for (at, file) in files.iter().enumerate() {
        if is_text_list(file) {
            let batches = list_rows(file, &list_columns())?;
            add_list(file, batches.map(|batch| batch.map_err(anyhow::Error::from)), &mut survey)?;
        } else {
            Reading { hash }.add(file, &mut survey)?;
        }
        let done = at + 1;
        status.update(done as u64, || {
            (
                format!("{done} of {total} files"),
                json!({"event": "read", "files": done, "of": total}),
            )
        });
    }
    status.clear();
    Ok(survey)
}

/// The shards, tables or lists that a path names.
fn corpus(spec: &str) -> anyhow::Result<Vec<PathBuf>> {
    let path = Path::new(spec);
    crate::commands::no_archive(path)?;
    let shards = RunLayout::new(path).shards();
    if path.is_dir() && shards.is_dir() {
        return corpus(&shards.display().to_string());
    }
    if RunLayout::new(path).is_run() {
        return newest_rows(path);
    }
    crate::commands::fetch_has_shards(path)?;
    // Of embeddings, the rows are in this folder.
    let metadata = path.join("metadata");
    if metadata.is_dir() && !has_shards(path) {
        return Ok(clip_sql::dedup::tables(&metadata)?);
    }
    if let Some(below) = clip_corpus::shards_below(path).filter(|_| !has_shards(path)) {
        let other = "no shards, but a folder below has";
        bail!("{spec}: {other}\nhint: look at {}", below.display());
    }
    if path.is_dir() && !has_shards(path) {
        let other = "neither shards, nor Parquet tables, nor lists";
        let lists = text_lists(path).unwrap_or_default();
        return match clip_sql::dedup::tables(path) {
            Err(_) if !lists.is_empty() => Ok(lists),
            Err(clip_sql::Error::NoParts { .. }) => bail!("{spec}: {other}{}", hint_below(path)),
            tables => Ok(tables?),
        };
    }
    if !path.is_dir() && is_text_list(path) {
        return Ok(text_lists(path)?);
    }
    crate::commands::shards_present(spec)
}

fn has_shards(folder: &Path) -> bool {
    let mut entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.any(|entry| clip_corpus::is_shard(&entry.path()))
}

/// What is missing among the shards of a folder or run, as lines.
fn gone_shards(path: &Path) -> anyhow::Result<Vec<String>> {
    let shards = RunLayout::new(path).shards();
    let folder = if shards.is_dir() { &shards } else { path };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let found = clip_corpus::gone(folder)?.into_iter();
    Ok(found.map(|gone| format!("{}: {}", gone.path.display(), gone.reason)).collect())
}

/// Where in a folder there is something to look at.
fn hint_below(folder: &Path) -> String {
    let found = RunLayout::new(folder).below().or_else(|| clip_corpus::shards_below(folder));
    found.map_or_else(String::new, |path| format!("\nhint: look at {}", path.display()))
}

/// The rows of the last stage that has some, of a run that has no shards yet.
fn newest_rows(run: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let reader = RunReader::open(run)?;
    for stage in reader.stages().iter().rev().filter(|stage| stage.layout.is_stage()) {
        let rows = stage.layout.files(PartFileKind::Rows)?;
        if !rows.is_empty() {
            note!("{}: no shards yet: these are the pairs after {}", run.display(), stage.name);
            return Ok(rows);
        }
    }
    bail!("{}: no part of it is done\nhint: run `clip-data build`", run.display());
}
