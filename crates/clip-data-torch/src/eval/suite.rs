//! `clip-data eval suite`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clip_datasets::{EvalSet, Frames, OpenOptions, Protocol, Split, Task};
use clip_eval::{FeatureOptions, ZeroShotOptions, retrieval, write_predictions, zero_shot};
use clip_model::{PreprocessCfg, Weights};
use serde_json::{Map, Value, json};

use super::inputs::{Model, ModelArgs, PromptArgs, progress, warn_of_positions};
use super::{page, retrieval as retrieve, zero_shot as zero};
use crate::model::{ModelPath, PreprocessArgs};

/// Arguments of `clip-data eval suite`.
#[derive(clap::Args)]
pub struct Args {
    /// Checkpoints or runs
    #[arg(long, num_args = 1.., required = true)]
    model: Vec<PathBuf>,
    /// Sets: paths, or NAME=PATH
    #[arg(long, num_args = 1.., required = true)]
    dataset: Vec<String>,
    /// The folder of results: what is there already is not computed again
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    preprocess: PreprocessArgs,
    /// Whose prompts, class order and metrics, for all sets
    #[arg(long, value_name = "NAME")]
    protocol: Option<Protocol>,
    /// Text before each caption of sets with captions; the paper has "a photo of "
    #[arg(long, default_value = "", value_name = "TEXT")]
    prompt: String,
    /// i/N: every N-th evaluation only, so that N processes share the work
    #[arg(long, value_name = "I/N")]
    part: Option<String>,
    /// auto, cpu or cuda
    #[arg(long, default_value = "auto")]
    device: String,
    /// Pass over images that cannot be decoded, and count them
    #[arg(long)]
    skip_unreadable: bool,
    /// contamination.json of the corpus: scores are given on All, Clean and Overlap
    #[arg(long, value_name = "FILE")]
    contamination: Option<PathBuf>,
    /// Where text classifiers are kept; the cache folder by default
    #[arg(long, value_name = "DIR")]
    classifier_cache: Option<PathBuf>,
    /// Write the table as a page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Runs what is missing, then prints one table of all that is there. Exit code 3 when a set failed: the others are
/// done, and the same command tries it again.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let part = args.part.as_deref().map(parse_part).transpose()?;
    let asked = args.preprocess.fields()?;
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let mut failed = 0;
    let mut at = 0usize;
    for path in &args.model {
        // Once: a run that still trains may get a newer checkpoint meanwhile.
        let folder = ModelPath::at(path.clone()).path()?;
        let mut model: Option<Model> = None;
        for spec in &args.dataset {
            at += 1;
            if part.is_some_and(|(i, n)| (at - 1) % n != i) {
                continue;
            }
            let set = match open(spec, args.protocol) {
                Ok(set) => set,
                Err(error) => {
                    eprintln!("error: {error:#}");
                    failed += 1;
                    continue;
                }
            };
            let stem = stem(&folder, &set);
            let output = args.out.join(format!("{stem}.json"));
            if output.is_file() && same(&output, (&folder, &asked), &set, &args.prompt) {
                eprintln!("{stem}: there already");
                continue;
            }
            let opened = match &model {
                Some(model) => model,
                None => {
                    let weights = ModelPath::at(folder.clone()).with(args.preprocess.clone());
                    let device = args.device.clone();
                    model.insert(Model::open(&ModelArgs { weights, device })?)
                }
            };
            if let Err(error) = one(&args, opened, &set, &stem) {
                eprintln!("error: {error:#}");
                failed += 1;
            }
        }
    }
    let results = read(&args.out)?;
    print!("{}", table(&results));
    write_lines(&args.out, &results)?;
    if let Some(path) = &args.html {
        page::suite(path, &results)?;
        println!("page: {}", path.display());
    }
    println!("results: {}", args.out.display());
    if failed > 0 {
        eprintln!("{failed} evaluations failed\nhint: the same command tries them again");
        return Ok(ExitCode::from(crate::exit::INCOMPLETE));
    }
    Ok(ExitCode::SUCCESS)
}

fn parse_part(text: &str) -> anyhow::Result<(usize, usize)> {
    let pair = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match pair {
        Some((i, n)) if i < n => Ok((i, n)),
        _ => bail!("--part {text}: not I/N with I from 0 below N"),
    }
}

fn open(spec: &str, protocol: Option<Protocol>) -> anyhow::Result<EvalSet> {
    let options = OpenOptions {
        protocol,
        split: Split::Test,
        frames: Frames::Middle,
        ..OpenOptions::default()
    };
    let set = clip_datasets::open_named(spec, &options)?;
    warn_of_positions(&set);
    Ok(set)
}

/// One file a checkpoint, set and protocol; the hash keeps checkpoints of one name apart.
fn stem(folder: &Path, set: &EvalSet) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    let hash = blake3::hash(whole.to_string_lossy().as_bytes()).to_hex();
    let name: String = set
        .name
        .chars()
        .map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .collect();
    format!("{name}_{}_{}", set.protocol.name(), &hash[..8])
}

/// Whether a result is of these weights, their preprocessing and these prompts. Data that changed under the same path is the caller's.
fn same(
    output: &Path,
    (weights, asked): (&Path, &Map<String, Value>),
    set: &EvalSet,
    prompt: &str,
) -> bool {
    let Some(document) = document(output) else { return false };
    let Ok(hash) = crate::model::weights_hash(weights) else { return false };
    let Ok(weights) = Weights::read(weights) else { return false };
    let prompts = if set.task == Task::Retrieval {
        blake3::hash(prompt.as_bytes()).to_hex().to_string()
    } else {
        set.all_prompts().hash()
    };
    // A result without it is from before configurations were read: then it was the default.
    let Ok(wanted) = weights.preprocess(asked) else { return false };
    let preprocess = document.get("preprocess").cloned();
    let preprocess = preprocess.unwrap_or_else(|| PreprocessCfg::default().to_json());
    // What was matched otherwise, or before matches were recorded, is evaluated again.
    let matched = set.task == Task::Retrieval || document["class_match"] == set.class_match.name();
    matched
        && preprocess == wanted.to_json()
        && document["hashes"]["model"] == hash.as_str()
        && document["hashes"]["prompts"] == prompts.as_str()
}

fn document(path: &Path) -> Option<Value> {
    serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
}

fn one(args: &Args, model: &Model, set: &EvalSet, stem: &str) -> anyhow::Result<()> {
    let shown = progress(stem, set.len());
    let file = |end: &str| args.out.join(format!("{stem}{end}"));
    let (document, line) = if set.task == Task::Retrieval {
        let options =
            FeatureOptions { skip_unreadable: args.skip_unreadable, ..FeatureOptions::default() };
        let asked = (args.prompt.as_str(), &[1usize, 5, 10][..]);
        let result = retrieval(&model.clip, &model.tokenizer, set, asked, options, &shown)?;
        (retrieve::document(&result, model), retrieve::datacomp(&result))
    } else {
        let prompts = PromptArgs {
            templates: None,
            class_prompts: None,
            names: "mean".into(),
            classifier_cache: args.classifier_cache.clone(),
            no_classifier_cache: false,
        };
        // A set that the corpus was not checked against is told as unaudited.
        let overlap =
            args.contamination.as_deref().and_then(|path| zero::keys(path, &set.name).ok());
        let audit = args.contamination.as_deref().filter(|_| overlap.is_some());
        let options = ZeroShotOptions {
            skip_unreadable: args.skip_unreadable,
            cache: prompts.cache(),
            model_hash: model.hash.clone(),
            overlap,
            ..ZeroShotOptions::default()
        };
        let result = zero_shot(&model.clip, &model.tokenizer, set, &options, &shown)?;
        if !result.predictions.is_empty() {
            write_predictions(&file(".parquet"), &result.predictions, zero::about(&result, model))?;
        }
        (zero::document(&result, model, audit), zero::datacomp(&result))
    };
    let mut document = document;
    document["datacomp"] = serde_json::from_str(line.trim()).unwrap_or(Value::Null);
    document["model_folder"] =
        json!(model.path.canonicalize().unwrap_or_else(|_| model.path.clone()));
    // The JSON comes last: it is what says that the evaluation is done.
    clip_corpus::write_atomic(&file(".json"), format!("{document:#}\n").as_bytes())?;
    Ok(())
}

/// All results of a folder, sorted by model and dataset.
fn read(folder: &Path) -> anyhow::Result<Vec<Value>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    let mut results: Vec<Value> =
        paths.iter().filter_map(|p| document(p)).filter(|d| d["metrics"].is_object()).collect();
    let key = |d: &Value| {
        (
            d["model"].as_str().unwrap_or_default().to_owned(),
            d["dataset"].as_str().unwrap_or_default().to_owned(),
        )
    };
    results.sort_by_key(key);
    Ok(results)
}

/// The value of the metric that counts.
pub fn main_value(document: &Value) -> Option<f64> {
    document["metrics"][document["main_metric"].as_str()?].as_f64()
}

fn table(results: &[Value]) -> String {
    let mut text = format!(
        "{:<32} {:<16} {:<14} {:>7}  {:<22} {:>8} {:>8}\n",
        "model", "dataset", "protocol", "items", "metric", "value", "chance"
    );
    let mut sums: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
    for d in results {
        let word = |key: &str| d[key].as_str().unwrap_or("-");
        let percent =
            |value: Option<f64>| value.map_or("-".into(), |v| format!("{:.2}%", 100.0 * v));
        let model = word("model");
        let short: String =
            model.chars().rev().take(32).collect::<Vec<_>>().into_iter().rev().collect();
        let items = d["items"].as_u64().or(d["images"].as_u64()).unwrap_or(0);
        let value = main_value(d);
        text.push_str(&format!(
            "{short:<32} {:<16} {:<14} {items:>7}  {:<22} {:>8} {:>8}\n",
            word("dataset"),
            word("protocol"),
            word("main_metric"),
            percent(value),
            percent(d["chance"].as_f64())
        ));
        if let Some(value) = value {
            let sum = sums.entry(model).or_default();
            *sum = (sum.0 + value, sum.1 + 1);
        }
    }
    for (model, (sum, count)) in sums {
        text.push_str(&format!(
            "{model}: mean over {count} sets {:.2}%\n",
            100.0 * sum / count as f64
        ));
    }
    text
}

/// DataComp's file of all results, a line each, and its five means where their sets are there.
fn write_lines(folder: &Path, results: &[Value]) -> anyhow::Result<()> {
    let lines = results
        .iter()
        .filter(|d| d["datacomp"].is_object())
        .map(|d| format!("{}\n", d["datacomp"]));
    let lines: String = lines.collect();
    clip_corpus::write_atomic(&folder.join("eval_results.jsonl"), lines.as_bytes())?;
    for (name, value, count, whole) in aggregates(results) {
        let note =
            if count == whole { String::new() } else { format!(" ({count} of {whole} sets)") };
        println!("DataComp's {name}: {:.2}%{note}", 100.0 * value);
    }
    Ok(())
}

/// DataComp's means: name, value, sets that are there, sets that belong to it.
fn aggregates(results: &[Value]) -> Vec<(&'static str, f64, usize, usize)> {
    let mut values: BTreeMap<String, f64> = BTreeMap::new();
    for d in results
        .iter()
        .filter(|d| d["protocol"] == "datacomp" || d["main_metric"] == "mean_recall@1")
    {
        if let Some((key, value)) =
            d["datacomp"]["key"].as_str().zip(d["datacomp"]["metrics"]["main_metric"].as_f64())
        {
            values.insert(key.to_owned(), value);
        }
    }
    let shifts =
        ["imagenet_sketch", "imagenetv2", "imagenet-a", "imagenet-o", "imagenet-r", "objectnet"];
    let all = || {
        clip_datasets::datacomp()
            .iter()
            .filter(|t| !["fairness/fairface", "fairness/utkface"].contains(&t.key.as_str()))
    };
    let tagged = |prefix: &str| {
        all()
            .filter(|t| t.tags.iter().any(|tag| tag.starts_with(prefix)))
            .map(|t| t.key.clone())
            .collect::<Vec<_>>()
    };
    let groups = [
        ("ImageNet", vec!["imagenet1k".to_owned()]),
        ("ImageNet distribution shifts", shifts.map(str::to_owned).to_vec()),
        ("VTAB", tagged("vtab")),
        ("retrieval", tagged("retrieval")),
        ("average", all().map(|t| t.key.clone()).collect()),
    ];
    let mut found = Vec::new();
    for (name, keys) in groups {
        let there: Vec<f64> = keys.iter().filter_map(|key| values.get(key).copied()).collect();
        if !there.is_empty() {
            found.push((
                name,
                there.iter().sum::<f64>() / there.len() as f64,
                there.len(),
                keys.len(),
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_means() {
        assert_eq!(parse_part("1/3").unwrap(), (1, 3));
        assert!(parse_part("3/3").is_err() && parse_part("x").is_err());
        let result = |key: &str, value: f64| {
            json!({"protocol": "datacomp", "main_metric": "acc1", "metrics": {"acc1": value},
                "datacomp": {"key": key, "metrics": {"main_metric": value}}})
        };
        let found = aggregates(&[
            result("imagenet-a", 0.2),
            result("objectnet", 0.4),
            result("vtab/dtd", 0.6),
        ]);
        let of = |name: &str| found.iter().find(|f| f.0 == name).map(|f| (f.1, f.2, f.3));
        assert_eq!(of("ImageNet"), None);
        let (mean, there, whole) = of("ImageNet distribution shifts").unwrap();
        assert!((mean - 0.3).abs() < 1e-12 && there == 2 && whole == 6);
        assert_eq!(of("VTAB").map(|v| v.2), Some(13));
        assert_eq!(of("average").map(|v| (v.1, v.2)), Some((3, 38)));
    }
}
