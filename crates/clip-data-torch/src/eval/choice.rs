//! `clip-data eval choice`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clip_eval::{ChoiceScores, Hashes, choices};
use serde_json::json;

use super::inputs::{Model, ModelArgs, progress, write_json};
use super::table::cell;

/// Arguments of `clip-data eval choice`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// SugarCrepe's folder or one of its files, Winoground's or WinoGAViL's folder
    #[arg(long)]
    dataset: PathBuf,
    /// Write the scores as JSON, with CLIP_benchmark's keys
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the evaluation.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let instances = clip_datasets::choice::open(&args.dataset)?;
    let model = Model::open(&args.model)?;
    let name = args.dataset.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let shown = progress(&name, None);
    let scores = choices(&model.clip, &model.tokenizer, &instances, &shown)?;
    println!("{:<16} {:>6}  {:<27} {:<27} {:<27}", "group", "n", "image", "text", "both");
    for (group, s) in &scores {
        let (image, text, both) = (cell(s.image_acc), cell(s.text_acc), cell(s.acc));
        let cue = s.jaccard.map_or(String::new(), |j| format!("  Jaccard {:.2}%", 100.0 * j));
        println!("{group:<16} {:>6}  {image:<27} {text:<27} {both:<27}{cue}", s.n);
    }
    if let Some(path) = &args.output {
        let hashes = Hashes { model: model.hash.clone(), ..Hashes::default() };
        let task = "image_caption_selection";
        let metrics = scores.get("all").map(metrics).unwrap_or_default();
        let more = json!({"groups": scores, "preprocess": model.preprocess()});
        let document = clip_eval::document(&name, &model.name(), task, &metrics, &hashes, more);
        write_json(path, &document)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn metrics(scores: &ChoiceScores) -> BTreeMap<String, Option<f64>> {
    let value = |accuracy: Option<clip_eval::Accuracy>| accuracy.map(|a| a.value);
    let all = [
        ("image_acc", value(scores.image_acc)),
        ("text_acc", value(scores.text_acc)),
        ("acc", value(scores.acc)),
        ("avg_jaccard_score", scores.jaccard),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
