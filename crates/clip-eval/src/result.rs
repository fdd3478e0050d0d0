//! Result files: CLIP_benchmark's, with what they lack, and DataComp's lines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clip_datasets::ClassSubset;
use clip_format::PathError;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Result, Scores};

/// Metrics by their names; none where one has no value. JSON has no NaN: it is written as null.
pub type Metrics = BTreeMap<String, Option<f64>>;

/// What was evaluated, to the byte.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hashes {
    /// blake3 of the weights' file.
    pub model: String,
    /// blake3 of the model's configuration as JSON; empty where features came from files.
    pub config: String,
    /// blake3 over items in order.
    pub data: String,
    /// blake3 over prompts in order.
    pub prompts: String,
}

/// A result file as it is written: CLIP_benchmark's fields, then those of the task.
#[derive(Debug, Serialize)]
pub struct ResultFile<F> {
    dataset: String,
    model: String,
    pretrained: &'static str,
    task: &'static str,
    metrics: Metrics,
    language: &'static str,
    hashes: Hashes,
    precision: &'static str,
    version: &'static str,
    #[serde(flatten)]
    fields: F,
}

impl<F> ResultFile<F> {
    /// The result of a model on a dataset.
    pub fn new(
        dataset: &str,
        model: String,
        task: &'static str,
        metrics: Metrics,
        hashes: Hashes,
        fields: F,
    ) -> Self {
        Self {
            dataset: dataset.to_owned(),
            model,
            pretrained: "",
            task,
            metrics,
            language: "en",
            hashes,
            precision: "fp32",
            version: env!("CARGO_PKG_VERSION"),
            fields,
        }
    }
}

/// A line of DataComp's `eval_results.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataCompLine {
    /// DataComp's key of the dataset.
    pub key: String,
    /// Its name.
    pub dataset: String,
    /// The metrics.
    pub metrics: DataCompMetrics,
}

/// The metrics of a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataCompMetrics {
    /// Every metric by its name.
    #[serde(flatten)]
    pub by_name: Metrics,
    /// The metric that DataComp averages.
    pub main_metric: Option<f64>,
}

impl DataCompLine {
    /// The line of a dataset; a set that is not DataComp's has its name as its key.
    pub fn new(dataset: &str, by_name: Metrics, main_metric: Option<f64>) -> Self {
        let task = clip_datasets::find_datacomp(dataset);
        let (key, name) = task.map_or((dataset, dataset), |task| (&task.key, &task.name));
        let metrics = DataCompMetrics { by_name, main_metric };
        Self { key: key.to_owned(), dataset: name.to_owned(), metrics }
    }
}

/// A result file as it is read: one of these, or CLIP_benchmark's own. What is absent is none.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ResultRecord {
    /// The file that it was read from.
    #[serde(skip)]
    pub file: PathBuf,
    /// The dataset.
    pub dataset: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// Its folder or file, whole, of a suite's.
    pub model_folder: Option<String>,
    /// Where the dataset is, whole, of a suite's.
    pub dataset_path: Option<String>,
    /// Names, sizes and times of its files, as a hash, of a suite's.
    pub dataset_state: Option<String>,
    /// Its weights, as CLIP_benchmark names them.
    pub pretrained: Option<String>,
    /// The task.
    pub task: Option<String>,
    /// The metrics; what is no number is none.
    #[serde(default, deserialize_with = "numbers")]
    pub metrics: Option<Metrics>,
    /// What was evaluated.
    #[serde(default)]
    pub hashes: Hashes,
    /// Whose prompts and class order.
    pub protocol: Option<String>,
    /// How the set's labels found their classes.
    pub class_match: Option<String>,
    /// The metric that counts.
    pub main_metric: Option<String>,
    /// Items that were scored.
    pub items: Option<u64>,
    /// Images that were scored, where they are not the items.
    pub images: Option<u64>,
    /// The main metric of a guess.
    pub chance: Option<f64>,
    /// Accuracies over all items.
    pub all: Option<Scores>,
    /// Over those that the corpus has no copy of, where a contamination report was given.
    pub clean: Option<Scores>,
    /// Over those that it has one of.
    pub overlap: Option<Scores>,
    /// Items that could not be decoded: key and reason.
    #[serde(default)]
    pub unreadable: Vec<(String, String)>,
    /// The contamination report that split the scores.
    pub contamination: Option<String>,
    /// What happened to the images.
    pub preprocess: Option<Value>,
    /// The limit that was asked for.
    pub limit: Option<u64>,
    /// Items that the set has.
    pub items_total: Option<u64>,
    /// Which classes were scored, where not all.
    pub class_subset: Option<ClassSubset>,
    /// DataComp's line.
    pub datacomp: Option<DataCompLine>,
}

impl ResultRecord {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read or is no JSON object of these types.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(|e| PathError::new(path, e))?;
        let wrong = |e| PathError::new(path, std::io::Error::other(e));
        let record = serde_json::from_slice::<Self>(&text).map_err(wrong)?;
        Ok(Self { file: path.to_path_buf(), ..record })
    }

    /// The value of a metric.
    pub fn value(&self, metric: &str) -> Option<f64> {
        self.metrics.as_ref()?.get(metric).copied().flatten()
    }

    /// The value of the metric that counts.
    pub fn main_value(&self) -> Option<f64> {
        self.value(self.main_metric.as_deref()?)
    }
}

fn numbers<'de, D: Deserializer<'de>>(input: D) -> std::result::Result<Option<Metrics>, D::Error> {
    let values: Option<BTreeMap<String, Value>> = Option::deserialize(input)?;
    Ok(values.map(|all| all.into_iter().map(|(name, value)| (name, value.as_f64())).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of a task.
    #[derive(Serialize)]
    struct Fields {
        protocol: &'static str,
        main_metric: &'static str,
    }

    fn metrics() -> Metrics {
        Metrics::from([
            ("acc1".to_owned(), Some(0.5)),
            ("acc5".to_owned(), None),
            ("auc".to_owned(), Some(f64::NAN)),
        ])
    }

    #[test]
    fn a_file_has_clip_benchmarks_fields_first_and_no_nan() {
        let fields = Fields { protocol: "openai", main_metric: "acc1" };
        let file = ResultFile::new("d", "m".into(), "t", metrics(), Hashes::default(), fields);
        let text = serde_json::to_string(&file).unwrap();
        let wanted = concat!(
            r#"{"dataset":"d","model":"m","pretrained":"","task":"t","#,
            r#""metrics":{"acc1":0.5,"acc5":null,"auc":null},"language":"en","#,
            r#""hashes":{"model":"","config":"","data":"","prompts":""},"precision":"fp32","version":""#,
            env!("CARGO_PKG_VERSION"),
            r#"","protocol":"openai","main_metric":"acc1"}"#
        );
        assert_eq!(text, wanted);
        let record: ResultRecord = serde_json::from_str(&text).unwrap();
        assert_eq!((record.main_value(), record.value("auc")), (Some(0.5), None));
    }

    #[test]
    fn a_line_of_datacomp_has_its_key_and_its_main_metric_last() {
        let line = DataCompLine::new("cifar10", metrics(), Some(0.5));
        let text = serde_json::to_string(&line).unwrap();
        let wanted = concat!(
            r#"{"key":"cifar10","dataset":"CIFAR-10","#,
            r#""metrics":{"acc1":0.5,"acc5":null,"auc":null,"main_metric":0.5}}"#
        );
        assert_eq!(text, wanted);
        let again: DataCompLine = serde_json::from_str(&text).unwrap();
        assert_eq!(again.metrics.main_metric, Some(0.5));
        assert_eq!(again.metrics.by_name["auc"], None);
        assert_eq!(DataCompLine::new("mine", metrics(), None).key, "mine");
    }

    #[test]
    fn clip_benchmarks_own_file_is_read() {
        let text = r#"{"dataset": "wds/cifar10", "model": "ViT-B-32", "pretrained": "openai",
            "task": "zeroshot_classification", "language": "en",
            "metrics": {"acc1": 1, "acc5": 0.99, "of": [0.1]}}"#;
        let record: ResultRecord = serde_json::from_str(text).unwrap();
        assert_eq!((record.value("acc1"), record.value("of")), (Some(1.0), None));
        assert_eq!((record.pretrained.as_deref(), record.limit), (Some("openai"), None));
    }
}
