//! `clip-data inspect`: statistics of any corpus, list or shard, and a page to look through it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use arrow::array::{Array, AsArray};
use clip_cli::{Show, StatusLine};
use clip_crawl::{is_text_list, list_rows, text_lists};
use clip_image::{DecodeOptions, HammingIndex, decode, hash};
use clip_pipeline::{RunLayout, RunReader};
use clip_query::QueryList;
use clip_report::{Page, Reading, Survey, add_list, browse, funnel, list_columns};
use serde_json::json;

use crate::exit;

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
    if !args.has.is_empty() {
        return has(&args, &files);
    }
    let queries = match &args.queries {
        Some(path) => Some(QueryList::load(path)?),
        None => None,
    };
    let name = |id: u32| {
        let known = queries.as_ref().and_then(|list| list.queries().get(id as usize));
        known.map_or_else(|| format!("query {id}"), |query| query.text.clone())
    };
    let survey = survey(&files, args.hash, if args.html.is_some() { args.samples } else { 0 })?;
    let duplicates = survey.duplicates(args.radius);
    if args.json {
        println!("{:#}", survey.json(&duplicates));
    } else {
        print!("{}", survey.text(&duplicates, &name));
    }
    if let Some(path) = &args.html {
        let mut page = Page::new(&format!("corpus: {}", args.paths.join(", ")));
        browse(&mut page, &survey, &duplicates, &name);
        let runs = args.paths.iter().map(|path| RunLayout::new(Path::new(path)));
        for run in runs.filter(RunLayout::is_run) {
            let about = "Pairs into and out of every stage, and why pairs were dropped.";
            page.section("The funnel", about, &funnel(&RunReader::open(run.dir())?));
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
    let shards = RunLayout::new(path).shards();
    if path.is_dir() && shards.is_dir() {
        return corpus(&shards.display().to_string());
    }
    let tars = |folder: &Path| {
        let mut entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        entries.any(|entry| entry.path().extension().is_some_and(|e| e == "tar"))
    };
    if path.is_dir() && !tars(path) {
        let other = "neither shards, nor Parquet tables, nor lists";
        let lists = text_lists(path).unwrap_or_default();
        return match clip_sql::dedup::tables(path) {
            Err(_) if !lists.is_empty() => Ok(lists),
            tables => tables.with_context(|| format!("{spec}: {other}")),
        };
    }
    if !path.is_dir() && is_text_list(path) {
        return Ok(text_lists(path)?);
    }
    super::shards(spec)
}

/// For each image the nearest of the corpus: the same hash of its file, or the nearest perceptual
/// hash.
fn has(args: &Args, files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut known: Vec<(u64, String, String)> = Vec::new();
    for file in files {
        let tables = [file.with_extension("parquet"), file.clone()];
        let table =
            tables.iter().find(|t| t.is_file() && t.extension().is_some_and(|e| e == "parquet"));
        let Some(table) = table else {
            let hint =
                "hint: only corpora with a Parquet table (columns phash, uid, url) can be searched";
            bail!("{}: no table beside it\n{hint}", file.display());
        };
        for batch in clip_corpus::scan(table, &["phash", "flat", "uid", "url", "key"], 8192)? {
            let batch = batch?;
            let Some(phash) = clip_corpus::columns::uint64(&batch, "phash") else {
                bail!(
                    "{}: no column `phash`\nhint: a build's fetch stage adds it",
                    table.display()
                );
            };
            let cell = |name: &str, at: usize| {
                let column = clip_corpus::columns::text(&batch, name);
                column.map(|column| column.value(at).to_owned()).unwrap_or_default()
            };
            let flat = batch.column_by_name("flat").and_then(|c| c.as_boolean_opt());
            for (at, phash) in phash.iter().enumerate() {
                if flat.is_some_and(|flat| flat.is_valid(at) && flat.value(at)) {
                    continue;
                }
                let name = [cell("uid", at), cell("key", at)].into_iter().find(|n| !n.is_empty());
                known.extend(phash.map(|h| (h, name.unwrap_or_default(), cell("url", at))));
            }
        }
    }
    let index = HammingIndex::new(known.iter().map(|(hash, ..)| *hash).collect(), args.radius);
    let mut answers = Vec::new();
    for path in &args.has {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let image = decode(&bytes, &DecodeOptions::default())
            .with_context(|| format!("{}: not an image", path.display()))?;
        let flat = hash::is_flat(&image);
        let mut near = if flat { Vec::new() } else { index.query(hash::phash(&image)) };
        near.sort_by_key(|&(at, distance)| (distance, at));
        if args.json {
            let near = near.iter().map(|&(at, distance)| {
                let (_, uid, url) = &known[at as usize];
                json!({"distance": distance, "uid": uid, "url": url})
            });
            answers.push(json!({"image": path, "flat": flat, "near": near.collect::<Vec<_>>()}));
            continue;
        }
        if near.is_empty() {
            let why = if flat { ": it shows next to nothing, and has no hash" } else { "" };
            println!("{}  not in the corpus{why}", path.display());
        }
        for (at, distance) in near.iter().take(10) {
            let (_, uid, url) = &known[*at as usize];
            println!("{}  {distance} bits  {uid}  {url}", path.display());
        }
    }
    if args.json {
        println!("{:#}", serde_json::Value::Array(answers));
    }
    Ok(ExitCode::SUCCESS)
}
