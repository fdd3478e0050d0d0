//! `clip-data eval robustness`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clip_datasets::find;
use clip_stats::robustness::{Baseline, SHIFTS, Shift, slope};
use serde_json::{Value, json};

use super::inputs::write_json;
use super::page;

/// Arguments of `clip-data eval robustness`.
#[derive(clap::Args)]
pub struct Args {
    /// Scores: JSON files of `eval zero-shot`, `eval linear-probe` or CLIP_benchmark, or folders of them
    #[arg(required = true)]
    scores: Vec<PathBuf>,
    /// Scores of another version of the model, for relative robustness
    #[arg(long, num_args = 1.., value_name = "FILE")]
    before: Vec<PathBuf>,
    /// Supervised probes that zero-shot is held against; by default the paper's ResNet-50 (its figure 5)
    #[arg(long, num_args = 1.., value_name = "FILE")]
    probes: Vec<PathBuf>,
    /// Accuracy on the classes of a shifted set, as imagenet-r=0.93, where it is not ImageNet's
    #[arg(long, num_args = 1.., value_name = "NAME=X")]
    base: Vec<String>,
    /// Write the results as JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write a page with the plots
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// One score: dataset of the registry, metric's value in [0, 1], and the task.
pub struct Known {
    id: &'static str,
    value: f64,
    probe: bool,
}

/// Runs the comparison.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let known = read_all(&args.scores)?;
    let before = read_all(&args.before)?;
    let mut bases = Vec::new();
    for text in &args.base {
        let pair = text.split_once('=').and_then(|(name, x)| Some((name, x.parse::<f64>().ok()?)));
        bases.push(pair.with_context(|| format!("--base {text}: not NAME=X"))?);
    }
    let shifts = shifts(&known, &before, &bases)?;
    let mut wins = figure5(&known, &read_all(&args.probes)?);
    wins.sort_by(|a, b| b.3.total_cmp(&a.3));
    if shifts.is_empty() && wins.is_empty() {
        bail!(
            "no scores of ImageNet with a shifted set, and none of the paper's 27 datasets\nhint: a shifted set is one of {}",
            SHIFTS.map(|s| s.id).join(", ")
        );
    }
    for row in &shifts {
        let number = |key: &str| row[key].as_f64().unwrap_or(f64::NAN);
        println!(
            "{:<16} {:>6.2}%, predicted {:>6.2}% [{:.2}, {:.2}] from {:.2}%: effective robustness {:+.2} points{}",
            row["shift"].as_str().unwrap_or_default(),
            100.0 * number("shifted"),
            100.0 * number("predicted"),
            100.0 * row["band"]["low"].as_f64().unwrap_or(f64::NAN),
            100.0 * row["band"]["high"].as_f64().unwrap_or(f64::NAN),
            100.0 * number("base"),
            100.0 * number("effective"),
            row["relative"]
                .as_f64()
                .map_or(String::new(), |tau| format!(", relative {:+.2}", 100.0 * tau))
        );
        if let Some(note) = row["note"].as_str() {
            println!("  {note}");
        }
    }
    if !shifts.is_empty() {
        let mean = shifts.iter().filter_map(|row| row["effective"].as_f64()).sum::<f64>()
            / shifts.len() as f64;
        println!(
            "mean effective robustness over {} shifts {:+.2} points",
            shifts.len(),
            100.0 * mean
        );
    }
    for (id, zero, probe, delta, source) in &wins {
        println!(
            "{id:<16} zero-shot {:>6.2}%, supervised probe {:>6.2}% ({source}): {:+.2}",
            100.0 * zero,
            100.0 * probe,
            100.0 * delta
        );
    }
    let better = wins.iter().filter(|row| row.3 > 0.0).count();
    if !wins.is_empty() {
        println!("zero-shot is better on {better} of {} datasets", wins.len());
    }
    let points: Vec<(f64, f64)> = wins.iter().map(|row| (row.2, row.1)).collect();
    let fitted = if points.len() > 2 { slope(&points).ok() } else { None };
    if let Some((slope, r)) = &fitted {
        println!(
            "zero-shot on probe: slope {:.2} [{:.2}, {:.2}], correlation {r:.2} (paper, figure 8: 1.28 [0.93, 1.79], 0.82 with the probe on CLIP's own features)",
            slope.estimate, slope.interval.low, slope.interval.high
        );
    }
    let rows: Vec<Value> = wins.iter().map(|(id, zero, probe, delta, source)| json!({"dataset": id, "zero_shot": zero, "probe": probe, "difference": delta, "probe_source": source})).collect();
    let document = json!({"task": "robustness", "shifts": shifts, "figure5": rows});
    if let Some(path) = &args.output {
        write_json(path, &document)?;
    }
    if let Some(path) = &args.html {
        page::robustness(path, &document)?;
        println!("page: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn shifts(known: &[Known], before: &[Known], bases: &[(&str, f64)]) -> anyhow::Result<Vec<Value>> {
    let of = |scores: &[Known], id: &str| scores.iter().find(|s| s.id == id).map(|s| s.value);
    let mut rows = Vec::new();
    for shift in &SHIFTS {
        let Some(shifted) = of(known, shift.id) else { continue };
        let given = bases.iter().find(|(name, _)| *name == shift.id).map(|(_, x)| *x);
        let Some(base) = given.or_else(|| of(known, "imagenet")) else { continue };
        let fit = Baseline::of(shift)?;
        let found = fit
            .robustness(base, shifted)
            .with_context(|| format!("{}: accuracy {base}", shift.id))?;
        let mut row = json!(found);
        row["shift"] = shift.id.into();
        row["relative"] = of(before, shift.id).map(|old| shifted - old).into();
        row["note"] = note(shift, given.is_some()).into();
        row["line"] = json!({"slope": fit.slope, "intercept": fit.intercept, "r": fit.r});
        row["models"] = json!(fit.points);
        rows.push(row);
    }
    Ok(rows)
}

/// What stands between a number and the testbed's.
fn note(shift: &Shift, given: bool) -> Option<String> {
    let subset = shift.base != "val" && !given;
    let curved = shift.id == "imagenet-a";
    match (subset, curved) {
        (true, _) => Some(format!(
            "the line is of ImageNet on the classes of {}: give that accuracy with --base {}=X",
            shift.id, shift.id
        )),
        (_, true) => {
            Some("the standard models are not on a line here: the testbed fits it piecewise".into())
        }
        _ => None,
    }
}

/// Dataset, zero-shot, probe, their difference, and where the probe's figure is from.
type Win = (&'static str, f64, f64, f64, &'static str);

fn figure5(known: &[Known], probes: &[Known]) -> Vec<Win> {
    let zero = known.iter().filter(|score| !score.probe);
    zero.filter_map(|score| {
        let dataset = find(score.id)?;
        if let Some(probe) = probes.iter().chain(known).find(|p| p.probe && p.id == score.id) {
            return Some((score.id, score.value, probe.value, score.value - probe.value, "given"));
        }
        if !probes.is_empty() {
            return None;
        }
        // The paper gives the difference to its best model's zero-shot score.
        let best = dataset.published("ViT-L/14@336px")?.0 - dataset.figure5?;
        let source = if dataset.figure5_verified {
            "paper, ResNet-50"
        } else {
            "paper, ResNet-50, as recalled"
        };
        Some((score.id, score.value, best / 100.0, score.value - best / 100.0, source))
    })
    .collect()
}

fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<Known>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
            let mut inside: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
            inside.retain(|p| p.extension().is_some_and(|e| e == "json"));
            inside.sort();
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    let mut known = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let document: Value =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        let name = document["dataset"].as_str().unwrap_or_default();
        let name = name.strip_prefix("wds/").unwrap_or(name);
        let Some(dataset) = find(name) else { continue };
        let probe = document["task"] == "linear_probe";
        let main = document["main_metric"].as_str().unwrap_or(dataset.metric.name());
        let keys = if probe { ["lp_acc1", "lp_acc1"] } else { [main, "acc1"] };
        let value = keys.iter().find_map(|key| document["metrics"][*key].as_f64());
        let value = value
            .with_context(|| format!("{}: no {} among its metrics", path.display(), keys[0]))?;
        known.push(Known { id: &dataset.id, value, probe });
    }
    Ok(known)
}
