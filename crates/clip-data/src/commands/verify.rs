//! `clip-data verify`: whether shards, tables, parts and manifests are whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clip_corpus::{
    Finding, ImageCheck, Verified, below, verify_shard, verify_stage, verify_subset, verify_table,
};
use clip_image::{DecodeOptions, decode};
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::exit;

/// Arguments of `clip-data verify`.
#[derive(clap::Args)]
pub struct Args {
    /// A run's folder, a stage's, a folder of shards, shards (a::b, {000..012}, globs), .parquet,
    /// .npy
    #[arg(required = true)]
    paths: Vec<String>,
    /// Decode every image too
    #[arg(long)]
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
    print(&found, args.json);
    Ok(match (found.findings.is_empty(), found.missing) {
        (false, _) => ExitCode::from(exit::DAMAGED),
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::from(exit::INCOMPLETE),
    })
}

fn print(found: &Verified, as_json: bool) {
    if as_json {
        let finding = |f: &Finding| json!({"path": f.path, "reason": f.reason});
        let findings: Vec<Value> = found.findings.iter().map(finding).collect();
        let (files, bytes, rows, missing) = (found.files, found.bytes, found.rows, found.missing);
        let all = json!({
            "files": files, "bytes": bytes, "rows": rows, "missing_parts": missing, "findings": findings,
        });
        println!("{all:#}");
        return;
    }
    for finding in &found.findings {
        println!("damaged  {}: {}", finding.path.display(), finding.reason);
    }
    if found.missing > 0 {
        println!("missing  {} parts are not there yet: run `clip-data build` again", found.missing);
    }
    let megabytes = found.bytes / 1_000_000;
    let (files, rows, bad) = (found.files, found.rows, found.findings.len());
    println!("{files} files, {rows} rows, {megabytes} MB read, {bad} findings");
}

fn one(spec: &str, decoded: bool) -> anyhow::Result<Verified> {
    let look = |bytes: &[u8]| {
        decode(bytes, &DecodeOptions::default()).map(drop).map_err(|e| format!("image: {e}"))
    };
    let look: Option<ImageCheck> = if decoded { Some(&look) } else { None };
    let path = Path::new(spec);
    if path.is_dir() {
        if path.join("stage.json").is_file() {
            return stage(path).map(|(found, _)| found);
        }
        if path.join("run.json").is_file() {
            return whole_run(path);
        }
    } else if path.is_file() {
        match path.extension().and_then(|e| e.to_str()) {
            Some("parquet") => return Ok(verify_table(path)),
            Some("npy") => return Ok(verify_subset(path)),
            _ => {}
        }
    }
    let shards = super::shards(spec)?;
    let found: Vec<Verified> = shards.par_iter().map(|shard| verify_shard(shard, look)).collect();
    let mut all = found.into_iter().fold(Verified::default(), |mut all, one| {
        all.add(one);
        all
    });
    all.findings.extend(gone(path)?);
    Ok(all)
}

/// Shards of a folder whose statistics are there, and say what the shard holds, and which are gone.
fn gone(folder: &Path) -> anyhow::Result<Vec<Finding>> {
    let mut found = Vec::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(shard) = name.strip_suffix("_stats.json") else { continue };
        let tar = folder.join(format!("{shard}.tar"));
        let stats = std::fs::read(folder.join(&name)).unwrap_or_default();
        let stats: Value = serde_json::from_slice(&stats).unwrap_or_default();
        if stats["blake3"].is_string() && !tar.exists() {
            found.push(Finding {
                path: tar,
                reason: "it is gone, and its statistics are not".into(),
            });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// A stage's parts, and its shards where it wrote some.
fn stage(folder: &Path) -> anyhow::Result<(Verified, BTreeMap<usize, u64>)> {
    let path = folder.join("stage.json");
    let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let value: Value = serde_json::from_slice(&text).unwrap_or_default();
    let parts = value["parts"].as_u64().map(|parts| parts as usize);
    let (mut found, rows) = verify_stage(folder, parts)?;
    if parts.is_none() {
        let reason = "it does not say how many parts the stage has".to_owned();
        found.findings.push(Finding { path, reason });
    }
    if let Ok(entries) = std::fs::read_dir(folder.join("shards")) {
        let mut shards: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        shards.retain(|path| path.extension().is_some_and(|e| e == "tar"));
        shards.sort();
        for shard in shards {
            // The manifest counted its files and samples.
            found.findings.extend(verify_shard(&shard, None).findings);
        }
    }
    Ok((found, rows))
}

/// The stages of the last build, each by itself and after the one before.
fn whole_run(folder: &Path) -> anyhow::Result<Verified> {
    let path = folder.join("run.json");
    let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let value: Value = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
    let mut all = Verified::default();
    let mut before: Option<(PathBuf, BTreeMap<usize, u64>)> = None;
    for stage_value in value["stages"].as_array().into_iter().flatten() {
        let name = stage_value["dir"].as_str().unwrap_or_default();
        let dir = below(folder, name).with_context(|| path.display().to_string())?;
        if !dir.join("stage.json").is_file() {
            all.missing += 1;
            before = None;
            continue;
        }
        let (found, rows) = stage(&dir)?;
        let rows_in = stage_value["tally"]["rows_in"].as_u64();
        if let (Some((earlier, out)), Some(rows_in), 0) = (&before, rows_in, found.missing) {
            let out: u64 = out.values().sum();
            if out != rows_in {
                let reason =
                    format!("{rows_in} rows came in, but {} passed {out} on", earlier.display());
                all.findings.push(Finding { path: dir.clone(), reason });
            }
        }
        all.add(found);
        before = Some((dir, rows));
    }
    Ok(all)
}
