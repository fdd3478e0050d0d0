//! `clip-data eval retrieval`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clip_datasets::Split;
use clip_eval::{FeatureOptions, Hashes, Recall, Retrieval, datacomp_line, retrieval};
use serde_json::{Value, json};

use super::inputs::{Model, ModelArgs, SetArgs, progress, write_json};
use super::table;

/// Arguments of `clip-data eval retrieval`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    set: SetArgs,
    /// Text before each caption; the paper has "a photo of "
    #[arg(long, default_value = "", value_name = "TEXT")]
    prompt: String,
    /// The Ks
    #[arg(long, num_args = 1.., default_values_t = [1, 5, 10], value_name = "K")]
    recall_k: Vec<usize>,
    /// Write the scores as JSON, with CLIP_benchmark's keys
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Append the scores to a file of lines, with DataComp's keys
    #[arg(long, value_name = "FILE")]
    datacomp_output: Option<PathBuf>,
    /// Write the similarities [captions, images] as .npy
    #[arg(long, value_name = "FILE")]
    logits: Option<PathBuf>,
}

/// Runs the evaluation.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let set = args.set.open(Split::Test)?;
    let model = Model::open(&args.model)?;
    let options = FeatureOptions {
        skip_unreadable: args.set.skip_unreadable,
        limit: args.set.limit,
        ..FeatureOptions::default()
    };
    let shown = progress(&set.name, set.len());
    let asked = (args.prompt.as_str(), args.recall_k.as_slice());
    let result = retrieval(&model.clip, &model.tokenizer, &set, asked, options, &shown)?;
    println!(
        "{}: {} images, {} captions, prompt {:?}",
        result.dataset, result.images, result.captions, result.prompt
    );
    if let Some(note) = split_note(&set, &result) {
        eprintln!("warning: {note}");
    }
    print!("{}{}", table::retrieval(&result.scores), table::unreadable(&result.unreadable));
    if let Some(path) = &args.logits {
        let shape = [result.captions as i64, result.images as i64];
        clip_torch::tch::Tensor::from_slice(&result.similarity).view(shape).write_npy(path)?;
        println!("similarities: {}", path.display());
    }
    if let Some(path) = &args.output {
        write_json(path, &document(&result, &model))?;
    }
    if let Some(path) = &args.datacomp_output {
        super::zero_shot::append(path, &datacomp(&result))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A set that has a name but not the size of its usual split gives numbers that stand beside no others.
fn split_note(set: &clip_datasets::EvalSet, result: &Retrieval) -> Option<String> {
    let wanted = set.dataset?.test.filter(|n| *n != result.images)?;
    Some(format!("{} images, not the {wanted} of {}", result.images, set.dataset?.split))
}

/// Names and values as CLIP_benchmark has them, with the mean of both recalls at 1 as DataComp has it.
pub fn metrics(result: &Retrieval) -> BTreeMap<String, Option<f64>> {
    let mut metrics = BTreeMap::new();
    let mut way = |name: &str, recall: &Recall| {
        for (k, accuracy) in &recall.at {
            metrics.insert(format!("{name}_retrieval_recall@{k}"), Some(accuracy.value));
        }
        recall.at.get(&1).map(|accuracy| accuracy.value)
    };
    let image = way("image", &result.scores.image);
    let text = way("text", &result.scores.text);
    if let Some((image, text)) = image.zip(text) {
        metrics.insert("mean_recall@1".into(), Some(f64::midpoint(image, text)));
    }
    metrics
}

/// CLIP_benchmark's JSON with what it lacks.
pub fn document(result: &Retrieval, model: &Model) -> Value {
    let hashes = Hashes {
        model: model.hash.clone(),
        data: result.data_hash.clone(),
        prompts: blake3::hash(result.prompt.as_bytes()).to_hex().to_string(),
    };
    let more = json!({
        "prompt": result.prompt, "images": result.images, "captions": result.captions,
        "image_retrieval": result.scores.image, "text_retrieval": result.scores.text,
        "main_metric": "mean_recall@1", "unreadable": result.unreadable,
        "preprocess": model.preprocess(),
    });
    let task = "zeroshot_retrieval";
    clip_eval::document(&result.dataset, &model.name(), task, &metrics(result), &hashes, more)
}

/// DataComp's line.
pub fn datacomp(result: &Retrieval) -> String {
    let task = clip_datasets::find_datacomp(&result.dataset);
    let (key, name) = task.map_or((result.dataset.as_str(), result.dataset.as_str()), |task| {
        (task.key.as_str(), task.name.as_str())
    });
    let metrics = metrics(result);
    datacomp_line(key, name, &metrics, metrics.get("mean_recall@1").copied().flatten())
}
