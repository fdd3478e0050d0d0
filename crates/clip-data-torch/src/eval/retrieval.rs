//! `clip-data eval retrieval`.

use std::process::ExitCode;

use anyhow::bail;
use clip_cli::torch::RetrievalArgs;
use clip_datasets::{ClassSubset, EvalSet, Split};
use clip_eval::{
    DataCompLine, FeatureOptions, Hashes, Recall, ResultFile, Retrieval, Sample, retrieval,
};
use serde::Serialize;
use serde_json::Value;

use super::inputs::{Model, open_set, progress, store_scores};
use super::table;

/// The metric that DataComp averages.
const MAIN_METRIC: &str = "mean_recall@1";

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
        batch_size: args.batch.batch_size,
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
        result.write_similarities(path)?;
        println!("similarities: {}", path.display());
    }
    store_scores(&args.files, || file(&result, &set, &model), || datacomp(&result))?;
    Ok(ExitCode::SUCCESS)
}

/// A set that has a name but not the size of its usual split gives numbers that compare with no
/// others.
fn split_note(set: &EvalSet, result: &Retrieval) -> Option<String> {
    let wanted = set.dataset?.test.filter(|n| *n != result.images)?;
    Some(format!("{} images, not the {wanted} of {}", result.images, set.dataset?.split))
}

/// The fields of a retrieval result beside CLIP_benchmark's.
#[derive(Serialize)]
pub struct Fields<'a> {
    prompt: &'a str,
    images: u64,
    captions: u64,
    image_retrieval: &'a Recall,
    text_retrieval: &'a Recall,
    main_metric: &'static str,
    unreadable: &'a [(String, String)],
    preprocess: Value,
    #[serde(flatten)]
    sample: Sample,
    #[serde(skip_serializing_if = "Option::is_none")]
    class_subset: Option<&'a ClassSubset>,
}

/// The result file.
pub fn file<'a>(result: &'a Retrieval, set: &'a EvalSet, model: &Model) -> ResultFile<Fields<'a>> {
    let hashes = Hashes {
        model: model.hash.clone(),
        config: model.config_hash(),
        data: result.data_hash.clone(),
        prompts: blake3::hash(result.prompt.as_bytes()).to_hex().to_string(),
    };
    let fields = Fields {
        prompt: &result.prompt,
        images: result.images,
        captions: result.captions,
        image_retrieval: &result.scores.image,
        text_retrieval: &result.scores.text,
        main_metric: MAIN_METRIC,
        unreadable: &result.unreadable,
        preprocess: model.preprocess(),
        sample: result.sample,
        class_subset: set.subset.as_ref(),
    };
    let (task, metrics) = ("zeroshot_retrieval", result.scores.metrics());
    ResultFile::new(&result.dataset, model.name(), task, metrics, hashes, fields)
}

/// DataComp's line.
pub fn datacomp(result: &Retrieval) -> DataCompLine {
    let metrics = result.scores.metrics();
    let main = metrics.get(MAIN_METRIC).copied().flatten();
    DataCompLine::new(&result.dataset, metrics, main)
}
