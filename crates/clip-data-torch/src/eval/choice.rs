//! `clip-data eval choice`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use clip_cli::torch::ChoiceArgs;
use clip_datasets::choice::{Instance, open, prompts_hash};
use clip_datasets::find_datacomp;
use clip_eval::{ChoiceResult, ChoiceScores, DataCompLine, Hashes, ResultFile, Sample, choices};
use serde::Serialize;
use serde_json::Value;

use super::inputs::{Model, not_datacomps, progress_of, store_scores};
use super::table;

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
    let shown = progress_of("instances", &set.name, Some(set.instances.len() as u64));
    let result =
        choices(&model.clip, &model.tokenizer, &set.instances, args.batch.batch_size, &shown);
    let result = model.blame(result)?;
    warn_of_part(&set);
    print!("{}", table::choices(&result));
    store_scores(&args.files, || file(&set, &result, &model), || datacomp(&set, &result))?;
    Ok(ExitCode::SUCCESS)
}

/// Says that not all of DataComp's instances were scored.
pub fn warn_of_part(set: &Choices) {
    if let Some(text) = not_datacomps(&set.name, set.instances.len() as u64) {
        eprintln!("{text}");
    }
}

/// The fields of a result of choices beside CLIP_benchmark's.
#[derive(Serialize)]
pub struct Fields<'a> {
    main_metric: &'static str,
    groups: &'a BTreeMap<String, ChoiceScores>,
    items: usize,
    images: usize,
    chance: Option<f64>,
    #[serde(flatten)]
    sample: Sample,
    preprocess: Value,
}

/// The result file.
pub fn file<'a>(set: &Choices, result: &'a ChoiceResult, model: &Model) -> ResultFile<Fields<'a>> {
    let hashes = Hashes {
        model: model.hash.clone(),
        config: model.config_hash(),
        data: result.data_hash.clone(),
        prompts: set.prompts_hash(),
    };
    let items = set.instances.len();
    let fields = Fields {
        main_metric: result.main_metric,
        groups: &result.groups,
        items,
        images: result.images,
        chance: find_datacomp(&set.name).and_then(|task| task.chance),
        sample: Sample { limit: None, items_total: items as u64 },
        preprocess: model.preprocess(),
    };
    let task = "image_caption_selection";
    ResultFile::new(&set.name, model.name(), task, result.metrics.clone(), hashes, fields)
}

/// DataComp's line.
pub fn datacomp(set: &Choices, result: &ChoiceResult) -> DataCompLine {
    let main = result.metrics.get(result.main_metric).copied().flatten();
    DataCompLine::new(&set.name, result.metrics.clone(), main)
}
