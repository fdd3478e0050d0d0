//! `clip-data verify`: whether shards, tables, parts and manifests are whole.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clip_cli::counted;
use clip_corpus::{Finding, ImageCheck, Verified, gone, verify_shard, verify_subset, verify_table};
use clip_image::{DecodeOptions, decode};
use clip_pipeline::{RunLayout, RunReader, StageLayout};
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::exit;

/// Arguments of `clip-data verify`.
#[derive(clap::Args)]
pub struct Args {
    /// A run's folder, a stage's, a folder of shards, shards (a::b, {000..012}, globs), .parquet,
    /// .npy
    #[arg(required_unless_present = "card")]
    paths: Vec<String>,
    /// A card.json of `clip-data card`, or its folder: the hashes of all files that it was made
    /// from, and that they say what it says; may be given again
    #[arg(long, value_name = "FILE")]
    card: Vec<PathBuf>,
    /// Decode every image of shards, and of folders of images, too
    #[arg(long, requires = "paths")]
    decode: bool,
    /// Print findings as JSON
    #[arg(long)]
    json: bool,
}

/// Prints what is wrong; exit 4 for damage, 3 where parts are missing.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut found = Verified::default();
    for path in &args.paths {
        found.add(one(path, args.decode)?);
    }
    let mut cards = Verified::default();
    for card in &args.card {
        cards.add(super::card::check(card)?);
    }
    let changed = !cards.findings.is_empty();
    found.add(cards);
    print(&found, &args);
    if changed {
        note!(
            "hint: where these files were changed on purpose (`forget`, `retry`, another build), `clip-data card` makes the card anew"
        );
    }
    Ok(match (found.findings.is_empty(), found.missing) {
        (false, _) => ExitCode::from(exit::DAMAGED),
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::from(exit::INCOMPLETE),
    })
}

fn print(found: &Verified, args: &Args) {
    if args.json {
        let finding = |f: &Finding| json!({"path": f.path, "reason": f.reason});
        let findings: Vec<Value> = found.findings.iter().map(finding).collect();
        let (files, bytes, missing) = (found.files, found.bytes, found.missing);
        let all = json!({
            "files": files, "bytes": bytes, "samples": found.samples, "rows": found.rows,
            "missing_parts": missing, "findings": findings,
        });
        println!("{all:#}");
        return;
    }
    for finding in &found.findings {
        println!("damaged  {}: {}", finding.path.display(), finding.reason);
    }
    if found.missing > 0 {
        let parts = counted(found.missing, "part");
        println!(
            "missing  {parts} not there yet: the same command (`build`, `fetch`, `embed` or `score`) resumes"
        );
    }
    let megabytes = found.bytes as f64 / 1e6;
    let decoded = if args.decode { ", images decoded" } else { "" };
    let mut line = counted(found.files, "file");
    // A card's files are hashed alone, and of shards the samples count: their tables have failed
    // rows, too.
    for (count, what) in [(found.samples, "samples"), (found.rows, "rows in tables")] {
        if count > 0 {
            line.push_str(&format!(", {count} {what}"));
        }
    }
    println!(
        "{line}, {megabytes:.1} MB read{decoded}, {}",
        counted(found.findings.len(), "finding")
    );
}

/// The images of a folder, at any depth, that cannot be decoded.
fn undecodable(folder: &Path, look: ImageCheck) -> anyhow::Result<Vec<Finding>> {
    let unreadable = |(path, e): (PathBuf, _)| anyhow::anyhow!("{}: {e}", path.display());
    let mut files = clip_guard::files(folder).map_err(unreadable)?;
    files.retain(|file| clip_format::ImageFormat::of_path(file).is_some());
    let found = files.into_par_iter().map(|path| -> anyhow::Result<Option<Finding>> {
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        Ok(look(&bytes).err().map(|reason| Finding { path, reason }))
    });
    Ok(found.collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().collect())
}

fn one(spec: &str, decoded: bool) -> anyhow::Result<Verified> {
    let look = |bytes: &[u8]| {
        decode(bytes, &DecodeOptions::default()).map(drop).map_err(|e| format!("image: {e}"))
    };
    let look: Option<ImageCheck> = if decoded { Some(&look) } else { None };
    let path = Path::new(spec);
    if path.is_dir() {
        let shard = |shard: &Path| verify_shard(shard, look);
        if StageLayout::new(path).is_stage() {
            return Ok(StageLayout::new(path).verify(&shard)?.0);
        }
        if RunLayout::new(path).is_run() {
            return Ok(RunReader::open(path)?.verify(&shard)?);
        }
        if let Some(mut found) = clip_corpus::verify_files(path)? {
            if let Some(look) = look {
                found.findings.extend(undecodable(path, look)?);
            }
            found.missing += clip_crawl::dataset::unfinished(path) as u64;
            return Ok(found);
        }
        if let Some(found) = clip_corpus::verify_tables(path)? {
            ensure!(!decoded, "{spec}: --decode is for the images of shards\nhint: leave it out");
            return Ok(found);
        }
    } else if path.is_file() {
        let kind = path.extension().and_then(|e| e.to_str());
        if decoded && matches!(kind, Some("parquet" | "npy")) {
            bail!("{spec}: --decode is for the images of shards\nhint: leave it out");
        }
        match kind {
            Some("parquet") => return Ok(verify_table(path)),
            Some("npy") => return Ok(verify_subset(path)),
            _ => {}
        }
    }
    let shards = super::shards_present(spec)?;
    let found: Vec<Verified> = shards.par_iter().map(|shard| verify_shard(shard, look)).collect();
    let mut all = found.into_iter().fold(Verified::default(), |mut all, one| {
        all.add(one);
        all
    });
    if path.is_dir() {
        all.missing += clip_crawl::dataset::unfinished(path) as u64;
        // A shard's own check has said some of it.
        let known: HashSet<PathBuf> = all.findings.iter().map(|found| found.path.clone()).collect();
        all.findings.extend(gone(path)?.into_iter().filter(|gone| !known.contains(&gone.path)));
    }
    Ok(all)
}
