//! Result files that are compared: like with like, of one model.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clip_datasets::{Dataset, find};
use clip_eval::{Metrics, ResultRecord};

/// The scores of one model on one dataset of the registry.
pub struct ScoreFile {
    /// The dataset.
    pub dataset: &'static Dataset,
    /// The file.
    pub path: PathBuf,
    /// Whether a supervised probe scored, not zero-shot transfer.
    pub probe: bool,
    /// The metric that counts, as zero-shot results name it.
    pub metric: String,
    model: String,
    hash: String,
    protocol: String,
    /// blake3 of the items.
    data: String,
    /// The classes that it is over, by the name of their subset, where not all are.
    subset: Option<String>,
    metrics: Metrics,
}

impl ScoreFile {
    fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let record = ResultRecord::read(path)?;
        let name = record.dataset.unwrap_or_default();
        let Some(dataset) = find(name.strip_prefix("wds/").unwrap_or(&name)) else {
            eprintln!("{}: {name:?} is not in the registry, skipped", path.display());
            return Ok(None);
        };
        let items = record.limit.or(record.items_total).or(record.items);
        let part = |items: &u64| record.class_subset.is_none() && !dataset.has_test_size(*items);
        if let Some((items, total)) = items.filter(part).zip(dataset.test) {
            let path = path.display();
            eprintln!("warning: {path}: scores of {items} items of {}, not {total}", dataset.id);
        }
        let own = [&record.model, &record.pretrained].map(|text| text.as_deref().unwrap_or(""));
        let own: Vec<&str> = own.into_iter().filter(|word| !word.is_empty()).collect();
        let mut file = Self {
            dataset,
            path: path.to_path_buf(),
            probe: record.task.as_deref() == Some("linear_probe"),
            metric: String::new(),
            model: own.join(" "),
            hash: record.hashes.model,
            protocol: record.protocol.unwrap_or_else(|| "none".into()),
            data: record.hashes.data,
            // A shifted set has all of its own classes.
            subset: record.class_subset.map(|kept| kept.name).filter(|kept| *kept != dataset.id),
            metrics: record.metrics.unwrap_or_default(),
        };
        // A score on some of the classes is no score of the set; ImageNet's may be the base of a
        // shifted set.
        if let Some(subset) = file.subset.as_ref().filter(|_| dataset.id != "imagenet") {
            let path = path.display();
            eprintln!("warning: {path}: on some classes of {} ({subset}), skipped", dataset.id);
            return Ok(None);
        }
        let main = record.main_metric.unwrap_or_default();
        let main = main.strip_prefix("lp_").unwrap_or(&main);
        let paper = dataset.metric.name();
        let choices = if main.is_empty() { vec![paper, "acc1"] } else { vec![main] };
        for name in &choices {
            file.metric = (*name).into();
            if file.value(name).is_some() {
                return Ok(Some(file));
            }
        }
        bail!("{}: no {} among its metrics", path.display(), choices[0])
    }

    /// The value of a metric, in [0, 1]; a probe's is called `lp_` and the metric, or
    /// `lp_main_metric`.
    pub fn value(&self, metric: &str) -> Option<f64> {
        let value = |name: &str| self.metrics.get(name).copied().flatten();
        if !self.probe {
            return value(metric);
        }
        let main = || value("lp_main_metric").filter(|_| self.metric == metric);
        value(&format!("lp_{metric}")).or_else(main)
    }

    /// Whether it is over all classes of the dataset.
    pub fn is_whole(&self) -> bool {
        self.subset.is_none()
    }

    /// Which metrics it has.
    pub fn names(&self) -> String {
        let known = self.metrics.iter().filter(|(_, value)| value.is_some());
        let known = known.map(|(name, _)| name.as_str());
        known.collect::<Vec<_>>().join(", ")
    }
}

/// Scores of one model.
#[derive(Default)]
pub struct ScoreGroup {
    /// The files, in the order given.
    pub files: Vec<ScoreFile>,
    /// The model's name; none where no file has one.
    pub model: Option<String>,
}

impl ScoreGroup {
    /// Reads files, and folders of them; `what` names them in messages.
    ///
    /// # Errors
    /// Scores of several models, or two of one dataset.
    pub fn read(paths: &[PathBuf], what: &str) -> anyhow::Result<Self> {
        let mut files: Vec<ScoreFile> = Vec::new();
        for path in listed(paths)? {
            files.extend(ScoreFile::read(&path)?);
        }
        // One hash is one model, under whatever path; without hashes a name is.
        let set = |get: fn(&ScoreFile) -> &String| -> BTreeSet<&str> {
            files.iter().map(|file| get(file).as_str()).filter(|text| !text.is_empty()).collect()
        };
        let (names, hashes) = (set(|file| &file.model), set(|file| &file.hash));
        let all_hashed = files.iter().all(|file| !file.hash.is_empty());
        if hashes.len() > 1 || (names.len() > 1 && !all_hashed) {
            let mut models: Vec<String> = files
                .iter()
                .map(|file| match file.hash.get(..8) {
                    Some(hash) => format!("{} ({hash})", file.model),
                    None => file.model.clone(),
                })
                .collect();
            models.sort();
            models.dedup();
            bail!(
                "{what}: these are scores of {} models: {}\nhint: give one model's files; another version of it goes after --before, another model's probes after --probes",
                models.len(),
                models.join(", ")
            );
        }
        for (at, file) in files.iter().enumerate() {
            let same = |other: &&ScoreFile| {
                other.dataset.id == file.dataset.id
                    && other.probe == file.probe
                    && other.subset == file.subset
            };
            if let Some(other) = files[..at].iter().find(same) {
                let (one, two) = (&other.protocol, &file.protocol);
                let (by, hint) = if one == two {
                    (String::new(), "name one of them")
                } else {
                    (
                        format!(", by the protocols {one} and {two}"),
                        "name the files of one protocol",
                    )
                };
                bail!(
                    "{what}: {} is scored twice{by}, in {} and {}\nhint: {hint}",
                    file.dataset.id,
                    other.path.display(),
                    file.path.display()
                );
            }
        }
        // A shift is between sets: two names for the same items have none.
        for (at, file) in files.iter().enumerate().filter(|(_, file)| !file.data.is_empty()) {
            let same = |other: &&ScoreFile| {
                other.data == file.data
                    && other.dataset.id != file.dataset.id
                    && other.probe == file.probe
            };
            if let Some(other) = files[..at].iter().find(same) {
                let (one, two) = (&other.dataset.id, &file.dataset.id);
                bail!(
                    "{what}: the scores of {one} and {two} are of the same items, by their content"
                );
            }
        }
        let model = names.first().map(|name| (*name).to_owned());
        Ok(Self { files, model })
    }

    /// The zero-shot scores of a dataset.
    pub fn zero_shot(&self, id: &str) -> Option<&ScoreFile> {
        self.files.iter().find(|f| !f.probe && f.dataset.id == id && f.subset.is_none())
    }

    /// The zero-shot scores of some classes of a dataset, by the name of their subset.
    pub fn of_classes(&self, id: &str, subset: &str) -> Option<&ScoreFile> {
        let same =
            |f: &&ScoreFile| !f.probe && f.dataset.id == id && f.subset.as_deref() == Some(subset);
        self.files.iter().find(same)
    }

    /// The probe's scores of a dataset.
    pub fn probe(&self, id: &str) -> Option<&ScoreFile> {
        self.files.iter().find(|f| f.probe && f.dataset.id == id && f.subset.is_none())
    }
}

fn listed(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
            let mut inside: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
            inside.retain(|p| p.extension().is_some_and(|e| e == "json"));
            inside.sort();
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn write(folder: &Path, name: &str, document: &Value) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, document.to_string()).unwrap();
        path
    }

    #[test]
    fn a_probe_is_asked_for_the_same_metric() {
        let dir = tempfile::tempdir().unwrap();
        let probe = json!({"dataset": "pets", "task": "linear_probe",
            "metrics": {"lp_acc1": 0.9, "lp_mean_per_class_recall": 0.5}});
        let path = write(dir.path(), "p.json", &probe);
        let group = ScoreGroup::read(&[path], "scores").unwrap();
        let file = group.probe("pets").unwrap();
        assert_eq!(
            (file.metric.as_str(), file.value("acc1")),
            ("mean_per_class_recall", Some(0.9))
        );
        assert_eq!((file.value("mean_per_class_recall"), file.value("roc_auc")), (Some(0.5), None));
        let probe = json!({"dataset": "hateful-memes", "task": "linear_probe",
            "main_metric": "roc_auc", "metrics": {"lp_acc1": 0.9, "lp_main_metric": 0.6}});
        let path = write(dir.path(), "q.json", &probe);
        let group = ScoreGroup::read(&[path], "scores").unwrap();
        assert_eq!(group.probe("hateful-memes").unwrap().value("roc_auc"), Some(0.6));
    }

    #[test]
    fn scores_of_several_models_and_of_one_set_twice_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let one = |name: &str, set: &str, model: &str, hash: &str| {
            let document = json!({"dataset": set, "task": "zeroshot_classification", "model": model,
                "hashes": {"model": hash}, "metrics": {"acc1": 0.5}});
            write(dir.path(), name, &document)
        };
        let a = one("a.json", "cifar10", "first", "1111111111");
        let b = one("b.json", "cifar100", "second", "2222222222");
        let message =
            |paths: &[PathBuf]| ScoreGroup::read(paths, "scores").err().unwrap().to_string();
        let text = message(&[a.clone(), b.clone()]);
        assert!(text.contains("2 models: first (11111111), second (22222222)"), "{text}");
        let c = one("c.json", "cifar100", "copy/of/first", "1111111111");
        assert_eq!(ScoreGroup::read(&[a.clone(), c], "s").unwrap().model.unwrap(), "copy/of/first");
        let d = one("d.json", "cifar100", "second", "");
        assert!(message(&[a.clone(), d]).contains("2 models"));
        let e = one("e.json", "cifar10", "first", "1111111111");
        let text = message(&[a.clone(), e]);
        assert!(text.contains("cifar10 is scored twice, in "), "{text}");
        assert!(text.contains("\nhint: name one of them"), "{text}");
        // Of two models the models are named, also where they have a set in common.
        let f = one("f.json", "cifar10", "second", "2222222222");
        let text = message(&[a.clone(), f]);
        assert!(text.contains("2 models: first (11111111), second (22222222)"), "{text}");
        let other = json!({"dataset": "cifar10", "task": "zeroshot_classification",
            "model": "first", "hashes": {"model": "1111111111"}, "protocol": "openai",
            "metrics": {"acc1": 0.5}});
        let text = message(&[a, write(dir.path(), "g.json", &other)]);
        assert!(text.contains("twice, by the protocols none and openai, in "), "{text}");
        assert!(text.contains("\nhint: name the files of one protocol"), "{text}");
    }
}
