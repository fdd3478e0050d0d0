//! The facts of a model card.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clip_corpus::TrainedShard;
use clip_report::ScoredPart;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::files::{Files, shown};

/// Settings that say where a run was, and nothing of the model.
const OF_THE_MACHINE: [&str; 4] = ["workers", "device", "contamination", "name"];

/// What a model card says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// The training run.
    pub name: String,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
    /// Steps taken, of how many.
    pub steps: [u64; 2],
    /// Pairs that were seen: steps by pairs of a batch.
    pub seen: u64,
    /// Pairs of its corpus, and the digest of what its shards hold.
    pub pairs: u64,
    /// The digest.
    pub corpus: String,
    /// Whether the shards that it was trained on are all of the run that the data card is of; none
    /// where that is not known.
    #[serde(default)]
    pub trained_on_this_corpus: Option<bool>,
    /// The loss of the last step that has one.
    pub loss: Option<f64>,
    /// The checkpoint that the card is about, from the card's folder on.
    pub checkpoint: String,
    /// What it scored.
    pub scores: Vec<ScoreFact>,
}

/// One result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreFact {
    /// The set.
    pub dataset: String,
    /// Whose prompts.
    pub protocol: String,
    /// Hash of the weights that were scored.
    pub model: String,
    /// The contamination report that split the scores.
    pub contamination: String,
    /// Whether that report is of the shards that the model was trained on; none where not known.
    #[serde(default)]
    pub contamination_covers_training: Option<bool>,
    /// What of the set was scored.
    #[serde(flatten)]
    pub part: ScoredPart,
    /// Top-1 on all items, on those without a copy in the corpus, and on those with one: items, and
    /// the value with its 99.5% interval.
    pub top1: BTreeMap<String, Accuracy>,
}

/// An accuracy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Items.
    pub n: u64,
    /// Its value.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl ModelCard {
    /// Of a training's newest checkpoint and of result files, which must be of one of its
    /// checkpoints.
    pub fn read(folder: &Path, scores: &[PathBuf], files: &mut Files) -> anyhow::Result<Self> {
        let checkpoint = newest(folder)?;
        let state: Value = serde_json::from_str(&files.text(&checkpoint.join("trainer.json"))?)?;
        for (name, hash) in state["files"].as_object().into_iter().flatten() {
            let path = clip_corpus::below(&checkpoint, name)?;
            let bytes = std::fs::metadata(&path).with_context(|| path.display().to_string())?.len();
            files.add_known(&path, hash.as_str().unwrap_or_default(), bytes)?;
        }
        let weights = crate::commands::report::checkpoint_files(folder)?;
        let score = |path: &PathBuf| {
            let found = score(path, files).with_context(|| shown(path))?;
            if !weights.contains(&found.model) {
                let (path, folder) = (shown(path), shown(folder));
                bail!(
                    "{path}: its scores are of another model than {folder}: no checkpoint there has its weights\n\
                     hint: `clip-data eval zero-shot --model {folder} --out FILE` gives its own"
                );
            }
            Ok(found)
        };
        let scores = scores.iter().map(score).collect::<anyhow::Result<_>>()?;
        let params = files.text(&folder.join("params.txt"))?;
        let setting = |line: &str| {
            let (key, value) = line.split_once(": ")?;
            Some((key.to_owned(), value.to_owned()))
        };
        let mut settings: BTreeMap<String, String> = params.lines().filter_map(setting).collect();
        settings.retain(|key, _| !OF_THE_MACHINE.contains(&key.as_str()));
        let number = |key: &str| state[key].as_u64().unwrap_or(0);
        let steps = [number("step"), number("total_steps")];
        let losses = files.text(&folder.join("steps.jsonl"))?;
        let loss = |line: &str| {
            let step: Value = serde_json::from_str(line).ok()?;
            (step["step"].as_u64()? < steps[0]).then(|| step["loss"].as_f64())?
        };
        Ok(Self {
            name: folder
                .canonicalize()?
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            settings,
            steps,
            seen: steps[0] * state["recipe"]["batch_size"].as_u64().unwrap_or(0),
            pairs: number("pairs"),
            corpus: state["corpus"].as_str().unwrap_or_default().to_owned(),
            trained_on_this_corpus: None,
            loss: losses.lines().rev().find_map(loss),
            checkpoint: checkpoint.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            scores,
        })
    }
}

/// blake3 of the shards that a training has read; none where it does not say them, as one whose
/// shards were streamed.
pub fn shards_of(folder: &Path, files: &mut Files) -> anyhow::Result<Option<Vec<String>>> {
    let path = folder.join(TrainedShard::FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let shards = TrainedShard::parse(&files.text(&path)?, &path)?;
    let hashes: Vec<String> = shards.into_iter().map(|shard| shard.blake3).collect();
    Ok(Some(hashes).filter(|all| !all.is_empty() && all.iter().all(|hash| !hash.is_empty())))
}

/// The newest checkpoint of a run.
fn newest(folder: &Path) -> anyhow::Result<PathBuf> {
    let checkpoints = folder.join("checkpoints");
    let entries =
        std::fs::read_dir(&checkpoints).with_context(|| checkpoints.display().to_string())?;
    let step = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.strip_prefix("step_")?.to_owned();
        name.parse::<u64>().ok()
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    match paths.filter(|path| step(path).is_some()).max_by_key(step) {
        Some(path) => Ok(path),
        None => {
            bail!("{}: no checkpoint\nhint: give a folder of `clip-data train`", shown(folder))
        }
    }
}

fn score(path: &Path, files: &mut Files) -> anyhow::Result<ScoreFact> {
    let found: Value = serde_json::from_str(&files.text(path)?)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let part = |part: &str| {
        let accuracy = serde_json::from_value(found[part]["acc1"].clone()).ok()?;
        Some((part.to_owned(), accuracy))
    };
    let top1: BTreeMap<String, Accuracy> =
        ["all", "clean", "overlap"].into_iter().filter_map(part).collect();
    if top1.is_empty() {
        bail!("no top-1 accuracy\nhint: give a file of `clip-data eval zero-shot --out`");
    }
    Ok(ScoreFact {
        dataset: text(&found["dataset"]),
        protocol: text(&found["protocol"]),
        model: text(&found["hashes"]["model"]),
        contamination: text(&found["contamination"]),
        contamination_covers_training: found["contamination_covers_training"].as_bool(),
        part: serde_json::from_value(found)?,
        top1,
    })
}
