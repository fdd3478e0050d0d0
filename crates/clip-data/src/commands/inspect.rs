//! `clip-data inspect`: statistics of any corpus, list or shard, and a page to look through it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use arrow::array::{Array, AsArray};
use clip_cli::{Show, StatusLine};
use clip_corpus::{Sample, ShardReader};
use clip_crawl::dataset::failures;
use clip_crawl::{is_text_list, list_rows, text_lists};
use clip_image::{DecodeOptions, HammingIndex, decode, hash};
use clip_pipeline::{PartFileKind, RunLayout, RunReader};
use clip_query::QueryList;
use clip_report::{Page, Reading, Survey, add_list, browse, funnel, list_columns};
use rayon::prelude::*;
use serde_json::json;

use crate::exit;

/// Images that are hashed at a time.
const BATCH: usize = 256;
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
    super::no_archive(path)?;
    let shards = RunLayout::new(path).shards();
    if path.is_dir() && shards.is_dir() {
        return corpus(&shards.display().to_string());
    }
    if RunLayout::new(path).is_run() {
        return newest_rows(path);
    }
    super::fetch_has_shards(path)?;
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
    super::shards_present(spec)
}

fn has_shards(folder: &Path) -> bool {
    let mut entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.any(|entry| clip_corpus::is_shard(&entry.path()))
}

/// What is missing among the shards of a folder or run, as lines.
fn gone_shards(path: &Path) -> anyhow::Result<Vec<String>> {
    let shards = RunLayout::new(path).shards();
    let folder = if shards.is_dir() { &shards } else { path };
    if !has_shards(folder) {
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

/// An image of a corpus: its perceptual hash, its uid or key, and its URL.
type Known = (u64, String, String);

/// The images of a table that has their hashes; nothing where it has none.
fn of_table(table: &Path, known: &mut Vec<Known>) -> anyhow::Result<bool> {
    for batch in clip_corpus::scan(table, &["phash", "flat", "uid", "url", "key"], 8192)? {
        let batch = batch?;
        let Some(phash) = clip_corpus::columns::uint64(&batch, "phash") else { return Ok(false) };
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
    Ok(true)
}

/// The images of a shard, which are decoded and hashed; what shows next to nothing has no hash.
fn of_images(shard: &Path, known: &mut Vec<Known>) -> anyhow::Result<()> {
    let (mut reader, mut undecodable) = (ShardReader::open(shard)?, 0);
    loop {
        let samples: Vec<_> = reader.by_ref().take(BATCH).collect::<Result<_, _>>()?;
        if samples.is_empty() {
            break;
        }
        let hashed: Vec<Option<(bool, Known)>> = samples.par_iter().map(hashed).collect();
        undecodable += hashed.iter().filter(|image| image.is_none()).count();
        let shown = hashed.into_iter().flatten().filter(|(flat, _)| !flat);
        known.extend(shown.map(|(_, image)| image));
    }
    if undecodable > 0 {
        eprintln!("{}: {undecodable} samples without a readable image", shard.display());
    }
    Ok(())
}

/// A sample's image, and whether it shows next to nothing; nothing where it has none that can be
/// decoded.
fn hashed(sample: &Sample) -> Option<(bool, Known)> {
    let image = decode(sample.image()?.1, &DecodeOptions::default()).ok()?;
    let json = sample.get("json").and_then(|text| serde_json::from_slice(text).ok());
    let json: serde_json::Value = json.unwrap_or_default();
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    let name = text("uid").unwrap_or_else(|| sample.key.clone());
    let known = (hash::phash(&image), name, text("url").unwrap_or_default());
    Some((hash::is_flat(&image), known))
}

/// The images of a file: by the hashes of its table, else by those of its images.
fn known_of(file: &Path, known: &mut Vec<Known>) -> anyhow::Result<()> {
    let tables = [file.with_extension("parquet"), file.to_path_buf()];
    let is_table = |t: &&PathBuf| t.is_file() && t.extension().is_some_and(|e| e == "parquet");
    let table = tables.iter().find(is_table);
    let hashed = table.map(|table| of_table(table, known)).transpose()?;
    if hashed == Some(true) {
        return Ok(());
    }
    if clip_corpus::is_shard(file) {
        return of_images(file, known);
    }
    bail!(
        "{}: neither a shard nor a table with a column `phash`\n\
         hint: a build's fetch stage adds the column; the images of shards (.tar) are hashed",
        file.display()
    );
}

/// For each image the nearest of the corpus: the same hash of its file, or the nearest perceptual
/// hash.
fn has(args: &Args, files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut known: Vec<Known> = Vec::new();
    files.iter().try_for_each(|file| known_of(file, &mut known))?;
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
