//! What is known of a probe's set and features.

use clip_datasets::{ClassSubset, Metric};
use clip_eval::{Parts, Sample, Target};
use serde_json::Value;

use super::super::table;

/// What is probed.
#[derive(Default)]
pub struct About {
    /// The set that is scored.
    pub name: String,
    /// The set that was fitted on, where that is another.
    pub fitted_on: Option<String>,
    pub model: String,
    pub model_hash: String,
    /// Of its configuration, where that is known.
    pub config_hash: String,
    /// `tower`, `projected`, or what a features folder says.
    pub space: String,
    /// What happened to the images, where they were seen.
    pub preprocess: Option<Value>,
    pub metric: Metric,
    /// The number of classes, and their names where they are known.
    pub classes: usize,
    pub class_names: Vec<String>,
    pub subset: Option<ClassSubset>,
    pub folds: usize,
    /// How many items of the test part were taken.
    pub sample: Option<Sample>,
    /// Classes that are fitted on but not scored.
    pub untested: Vec<String>,
    /// The zero-shot score of the model by the same metric.
    pub zero_shot: Option<f64>,
    pub hasher: blake3::Hasher,
}

impl About {
    pub fn class_name(&self, class: usize) -> String {
        self.class_names.get(class).cloned().unwrap_or_else(|| format!("class {class}"))
    }

    /// That these are scores of some of the items, where they are.
    pub fn note(&self) -> String {
        self.sample.map_or(String::new(), table::sample)
    }

    /// blake3 over keys, contents and truths of all parts so far.
    pub fn data_hash(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    pub fn hash(&mut self, parts: &Parts) {
        for part in [&parts.train, &parts.val, &parts.test] {
            for item in &part.items {
                self.hasher.update(item.key.as_bytes()).update(&item.content);
            }
            match &part.target {
                Target::Classes(classes) => classes.iter().for_each(|class| {
                    self.hasher.update(&(*class as u64).to_le_bytes());
                }),
                Target::Marks(marks) => marks.iter().flatten().for_each(|mark| {
                    self.hasher.update(&mark.to_le_bytes());
                }),
            }
        }
    }
}
