//! `clip-data eval retrieval`.

use std::process::ExitCode;

use anyhow::bail;
use clip_cli::torch::RetrievalArgs;
use clip_datasets::Split;
use clip_eval::{FeatureOptions, Hashes, Retrieval, datacomp_line, retrieval};
use serde_json::{Value, json};

use super::inputs::{Model, open_set, progress, write_json};
use super::table;

/// Runs the evaluation.
pub fn run(args: RetrievalArgs) -> anyhow::Result<ExitCode> {
    let set = open_set(&args.set, Split::Test)?;
    if args.set.protocol.is_some() {
        bail!(
            "--protocol: no effect on retrieval, whose captions are the set's\nhint: --prompt is the text before each"
        );
    }
    let model = Model::open(&args.model)?;
    let options = FeatureOptions {
        skip_unreadable: args.set.skip_unreadable,
        limit: args.set.limit,
        ..FeatureOptions::default()
    };
    let shown = progress(&set.name, args.set.count(set.len()));
    let asked = (args.prompt.as_str(), args.recall_k.as_deref());
    let result = retrieval(&model.clip, &model.tokenizer, &set, asked, options, &shown);
    let result = model.blame(result)?;
    println!(
        "{}: {} images, {} captions, prompt {:?}",
        result.dataset, result.images, result.captions, result.prompt
    );
    if let Some(note) = split_note(&set, &result) {
        eprintln!("warning: {note}");
    }
    print!("{}{}", table::retrieval(&result.scores), table::unreadable(&result.unreadable));
    print!("{}", table::sample(result.sample));
    if let Some(path) = &args.logits {
        let shape = [result.captions as i64, result.images as i64];
        clip_torch::tch::Tensor::from_slice(&result.similarity).view(shape).write_npy(path)?;
        println!("similarities: {}", path.display());
    }
    if let Some(path) = &args.out {
        write_json(path, &document(&result, &model))?;
    }
    if let Some(path) = &args.datacomp_output {
        super::zero_shot::append(path, &datacomp(&result))?;
        println!("scores: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// A set that has a name but not the size of its usual split gives numbers that stand beside no
/// others.
fn split_note(set: &clip_datasets::EvalSet, result: &Retrieval) -> Option<String> {
    let wanted = set.dataset?.test.filter(|n| *n != result.images)?;
    Some(format!("{} images, not the {wanted} of {}", result.images, set.dataset?.split))
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
        "limit": result.sample.limit, "items_total": result.sample.items_total,
    });
    let task = "zeroshot_retrieval";
    let metrics = result.scores.metrics();
    clip_eval::document(&result.dataset, &model.name(), task, &metrics, &hashes, more)
}

/// DataComp's line.
pub fn datacomp(result: &Retrieval) -> String {
    let task = clip_datasets::find_datacomp(&result.dataset);
    let (key, name) = task.map_or((result.dataset.as_str(), result.dataset.as_str()), |task| {
        (task.key.as_str(), task.name.as_str())
    });
    let metrics = result.scores.metrics();
    datacomp_line(key, name, &metrics, metrics.get("mean_recall@1").copied().flatten())
}
