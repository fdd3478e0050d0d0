//! `clip-data eval choice`.

use std::path::Path;
use std::process::ExitCode;

use clip_cli::torch::ChoiceArgs;
use clip_datasets::choice::{Instance, open, prompts_hash};
use clip_datasets::find_datacomp;
use clip_eval::{ChoiceResult, Hashes, choices, datacomp_line};
use serde_json::{Value, json};

use super::inputs::{Model, progress, write_json};
use super::table;
use super::zero_shot::append;

/// Instances with the name of their folder or file.
pub struct Choices {
    /// The name: WinoGAViL's is DataComp's, whatever its folder is called.
    pub name: String,
    /// The instances.
    pub instances: Vec<Instance>,
}

impl Choices {
    /// Opens a folder or file.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let instances = open(path)?;
        let cues = instances.iter().any(|instance| instance.chosen.is_some());
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name: if cues { "winogavil".into() } else { stem }, instances })
    }

    /// What stands for the hash of prompts.
    pub fn prompts_hash(&self) -> String {
        prompts_hash(&self.instances)
    }
}

/// Runs the evaluation.
pub fn run(args: ChoiceArgs) -> anyhow::Result<ExitCode> {
    let set = Choices::open(&args.dataset)?;
    let model = Model::open(&args.model)?;
    let shown = progress(&set.name, Some(set.instances.len() as u64));
    let result = choices(&model.clip, &model.tokenizer, &set.instances, &shown);
    let result = model.blame(result)?;
    print!("{}", table::choices(&result));
    if let Some(path) = &args.out {
        write_json(path, &document(&set, &result, &model))?;
    }
    if let Some(path) = &args.datacomp_output {
        append(path, &datacomp(&set, &result))?;
        println!("scores: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// CLIP_benchmark's JSON with what it lacks.
pub fn document(set: &Choices, result: &ChoiceResult, model: &Model) -> Value {
    let hashes = Hashes {
        model: model.hash.clone(),
        data: result.data_hash.clone(),
        prompts: set.prompts_hash(),
    };
    let items = set.instances.len();
    let more = json!({
        "main_metric": result.main_metric, "groups": result.groups, "items": items,
        "images": result.images, "chance": find_datacomp(&set.name).and_then(|task| task.chance),
        "limit": null, "items_total": items, "preprocess": model.preprocess(),
    });
    let task = "image_caption_selection";
    clip_eval::document(&set.name, &model.name(), task, &result.metrics, &hashes, more)
}

/// DataComp's line.
pub fn datacomp(set: &Choices, result: &ChoiceResult) -> String {
    let task = find_datacomp(&set.name);
    let (key, name) =
        task.map_or((set.name.as_str(), set.name.as_str()), |task| (&task.key, &task.name));
    let main = result.metrics.get(result.main_metric).copied().flatten();
    datacomp_line(key, name, &result.metrics, main)
}
