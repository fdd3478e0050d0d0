//! `clip-data eval`: what a model can do.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;
use clip_eval::{Accuracy, Scores, ZeroShot, write_predictions, zero_shot};
use clip_overlap::Account;
use clip_text::Tokenizer;
use serde_json::json;

use crate::device;

/// The evaluations.
#[derive(Subcommand)]
pub enum Task {
    /// Zero-shot classification (paper, section 3.1)
    ZeroShot(Args),
}

/// Arguments of `clip-data eval zero-shot`.
#[derive(clap::Args)]
pub struct Args {
    /// A checkpoint's folder (ours or open_clip's), or a run's, for its newest checkpoint
    #[arg(long)]
    model: PathBuf,
    /// The evaluation set: CLIP_benchmark's layout, or a folder of images for each class
    #[arg(long)]
    dataset: PathBuf,
    /// contamination.json of the corpus: scores are given on All, Clean and Overlap
    #[arg(long, value_name = "FILE")]
    contamination: Option<PathBuf>,
    /// Write the scores as JSON, with CLIP_benchmark's keys
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write what was predicted for each item as Parquet, for `clip-data contamination`
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,
    /// auto, cpu or cuda
    #[arg(long, default_value = "auto")]
    device: String,
}

/// Runs the evaluation.
pub fn run(task: Task) -> anyhow::Result<ExitCode> {
    let Task::ZeroShot(args) = task;
    clip_torch::init(None)?;
    let device = device(&args.device)?;
    let folder = checkpoint(&args.model)?;
    let model = clip_model::load_checkpoint(&folder, device)?;
    let set = clip_datasets::open(&args.dataset)?;
    let overlap = args.contamination.as_deref().map(|path| keys(path, &set.name)).transpose()?;
    let shown = |done: usize| eprint!("\r{}: {done} images", set.name);
    let result = zero_shot(&model, &Tokenizer::new(), &set, overlap.as_ref(), &shown)?;
    eprintln!();
    print!("{}", table(&result));
    if let Some(path) = &args.predictions {
        write_predictions(path, &result.predictions)?;
        println!("predictions: {}", path.display());
    }
    if let Some(path) = &args.output {
        let text = format!("{:#}\n", document(&result, &folder));
        clip_corpus::write_atomic(path, text.as_bytes())?;
        println!("scores: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// A run's folder means its newest checkpoint.
fn checkpoint(path: &Path) -> anyhow::Result<PathBuf> {
    if path.join(clip_model::MODEL_FILE).is_file() {
        return Ok(path.to_path_buf());
    }
    let newest = clip_train::latest(&path.join("checkpoints"));
    let hint = "hint: a folder with open_clip_model.safetensors, or a run of `clip-data train`";
    newest.with_context(|| format!("{}: no checkpoint\n{hint}", path.display()))
}

fn keys(path: &Path, set: &str) -> anyhow::Result<HashSet<String>> {
    let account = Account::read(path)?;
    let Some(found) = account.set(set) else {
        let known: Vec<_> = account.sets.iter().map(|set| set.name.as_str()).collect();
        let hint = "hint: the set's name in [check] against must be its folder's";
        bail!("{}: no set {set:?}, only {}\n{hint}", path.display(), known.join(", "));
    };
    Ok(found.keys())
}

fn document(result: &ZeroShot, model: &Path) -> serde_json::Value {
    let all = &result.all;
    json!({
        "dataset": result.dataset, "model": model.display().to_string(), "pretrained": "",
        "task": "zeroshot_classification", "language": "en",
        "metrics": {
            "acc1": all.acc1.value, "acc5": all.acc5.map(|a| a.value),
            "mean_per_class_recall": all.mean_per_class_recall,
        },
        "classes": result.classes, "chance": result.chance,
        "all": result.all, "clean": result.clean, "overlap": result.overlap,
    })
}

fn table(result: &ZeroShot) -> String {
    let mut text = format!(
        "{}: {} classes, chance {:.2}%\n{:<8} {:>7}  {:<27} {:<27} {:>9}\n",
        result.dataset,
        result.classes,
        100.0 * result.chance,
        "items",
        "n",
        "top-1 [99.5% interval]",
        "top-5 [99.5% interval]",
        "per class"
    );
    let rows = [
        ("All", Some(&result.all)),
        ("Clean", result.clean.as_ref()),
        ("Overlap", result.overlap.as_ref()),
    ];
    for (name, scores) in rows {
        if let Some(scores) = scores {
            text.push_str(&row(name, scores));
        }
    }
    text
}

fn row(name: &str, scores: &Scores) -> String {
    let cell = |accuracy: Option<Accuracy>| {
        accuracy.map_or("-".into(), |a| {
            format!("{:>6.2}% [{:.2}%, {:.2}%]", 100.0 * a.value, 100.0 * a.low, 100.0 * a.high)
        })
    };
    format!(
        "{name:<8} {:>7}  {:<27} {:<27} {:>8.2}%\n",
        scores.acc1.n,
        cell(Some(scores.acc1)),
        cell(scores.acc5),
        100.0 * scores.mean_per_class_recall
    )
}
