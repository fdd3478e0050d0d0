//! Result files of a suite: one table of all, and DataComp's file of lines with its means, model by
//! model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

/// A result file, where it is one.
pub fn document(path: &Path) -> Option<Value> {
    serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
}

/// All results of a folder, sorted by model and dataset.
pub fn read(folder: &Path) -> anyhow::Result<Vec<Value>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    let mut results: Vec<Value> =
        paths.iter().filter_map(|p| document(p)).filter(|d| d["metrics"].is_object()).collect();
    results.sort_by_key(|d| {
        (word(d, "model").to_owned(), hash(d).to_owned(), word(d, "dataset").to_owned())
    });
    Ok(results)
}

fn word<'a>(document: &'a Value, key: &str) -> &'a str {
    document[key].as_str().unwrap_or("-")
}

fn hash(document: &Value) -> &str {
    document["hashes"]["model"].as_str().unwrap_or_default()
}

/// The value of the metric that counts.
pub fn main_value(document: &Value) -> Option<f64> {
    document["metrics"][document["main_metric"].as_str()?].as_f64()
}

/// Which of the classes a result is over, where it is not over all.
pub fn subset(document: &Value) -> String {
    let of = &document["class_subset"];
    if of.is_null() {
        return String::new();
    }
    format!(" ({} of {} classes: {})", of["classes"], of["of"], of["name"].as_str().unwrap_or("?"))
}

/// What each result's model is called: its name, with its hash where two models have one name.
pub fn labels(results: &[Value]) -> Vec<String> {
    let mut hashes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for d in results {
        hashes.entry(word(d, "model")).or_default().insert(hash(d));
    }
    let label = |d: &Value| {
        let name = word(d, "model");
        if hashes[name].len() > 1 {
            format!("{name} ({})", hash(d).get(..8).unwrap_or("no hash"))
        } else {
            name.to_owned()
        }
    };
    results.iter().map(label).collect()
}

/// The table of all results, with each model's mean.
pub fn table(results: &[Value]) -> String {
    let labels = labels(results);
    let percent = |value: Option<f64>| value.map_or("-".into(), |v| format!("{:.2}%", 100.0 * v));
    let head = ["model", "dataset", "protocol", "items", "metric", "value", "chance"];
    let mut rows = vec![head.map(str::to_owned)];
    let mut sums: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
    for (d, label) in results.iter().zip(&labels) {
        let items = d["items"].as_u64().or(d["images"].as_u64()).unwrap_or(0);
        let value = main_value(d);
        rows.push([
            label.clone(),
            word(d, "dataset").to_owned() + &subset(d),
            word(d, "protocol").to_owned(),
            items.to_string(),
            word(d, "main_metric").to_owned(),
            percent(value),
            percent(d["chance"].as_f64()),
        ]);
        if let Some(value) = value {
            let sum = sums.entry(label).or_default();
            *sum = (sum.0 + value, sum.1 + 1);
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths = [0, 1, 2, 3, 4, 5, 6].map(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            let number = [3, 5, 6].contains(&column);
            if number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    for (model, (sum, count)) in sums {
        let mean = 100.0 * sum / count as f64;
        text.push_str(&format!("{model}: mean over {count} sets {mean:.2}%\n"));
    }
    text
}

/// Writes DataComp's `eval_results.jsonl`, a file for each model where there are several, and
/// returns its five means where their sets are there.
pub fn write_lines(folder: &Path, results: &[Value]) -> anyhow::Result<String> {
    let mut models: BTreeMap<(String, &str), Vec<&Value>> = BTreeMap::new();
    for (d, label) in results.iter().zip(labels(results)) {
        models.entry((label, hash(d))).or_default().push(d);
    }
    let several = models.len() > 1;
    let mut text = String::new();
    for ((label, hash), own) in &models {
        let lines = own.iter().filter(|d| d["datacomp"].is_object() && d["class_subset"].is_null());
        let lines: String = lines.map(|d| format!("{}\n", d["datacomp"])).collect();
        let name = match hash.get(..8).filter(|_| several) {
            Some(hash) => format!("eval_results_{hash}.jsonl"),
            None => "eval_results.jsonl".into(),
        };
        clip_format::write_atomic(&folder.join(name), lines.as_bytes())?;
        let of = if several { format!("{label}: ") } else { String::new() };
        for (name, value, count, whole) in aggregates(own) {
            let note =
                if count == whole { String::new() } else { format!(" ({count} of {whole} sets)") };
            text.push_str(&format!("{of}DataComp's {name}: {:.2}%{note}\n", 100.0 * value));
        }
    }
    Ok(text)
}

/// DataComp's means of one model: name, value, sets that are there, sets that belong to it.
fn aggregates(results: &[&Value]) -> Vec<(&'static str, f64, usize, usize)> {
    let mut values: BTreeMap<String, f64> = BTreeMap::new();
    // Images with captions and choices have one protocol.
    let shared = ["mean_recall@1", "jaccard_score_10-12"];
    let theirs =
        |d: &&&Value| d["protocol"] == "datacomp" || shared.contains(&word(d, "main_metric"));
    for d in results.iter().filter(theirs).filter(|d| d["class_subset"].is_null()) {
        if let Some((key, value)) =
            d["datacomp"]["key"].as_str().zip(d["datacomp"]["metrics"]["main_metric"].as_f64())
        {
            values.insert(key.to_owned(), value);
        }
    }
    let shifts =
        ["imagenet_sketch", "imagenetv2", "imagenet-a", "imagenet-o", "imagenet-r", "objectnet"];
    let all = || {
        clip_datasets::datacomp()
            .iter()
            .filter(|t| !["fairness/fairface", "fairness/utkface"].contains(&t.key.as_str()))
    };
    let tagged = |prefix: &str| {
        all()
            .filter(|t| t.tags.iter().any(|tag| tag.starts_with(prefix)))
            .map(|t| t.key.clone())
            .collect::<Vec<_>>()
    };
    let groups = [
        ("ImageNet", vec!["imagenet1k".to_owned()]),
        ("ImageNet distribution shifts", shifts.map(str::to_owned).to_vec()),
        ("VTAB", tagged("vtab")),
        ("retrieval", tagged("retrieval")),
        ("average", all().map(|t| t.key.clone()).collect()),
    ];
    let mut found = Vec::new();
    for (name, keys) in groups {
        let there: Vec<f64> = keys.iter().filter_map(|key| values.get(key).copied()).collect();
        if !there.is_empty() {
            let mean = there.iter().sum::<f64>() / there.len() as f64;
            found.push((name, mean, there.len(), keys.len()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn result(key: &str, metric: &str, value: f64) -> Value {
        let protocol = if metric == "acc1" { json!("datacomp") } else { Value::Null };
        json!({"protocol": protocol, "main_metric": metric, "metrics": {metric: value}, "dataset": key,
            "model": "m", "hashes": {"model": "0123456789"},
            "datacomp": {"key": key, "metrics": {"main_metric": value}}})
    }

    #[test]
    fn means_are_datacomps() {
        let results = [
            result("imagenet-a", "acc1", 0.2),
            result("objectnet", "acc1", 0.4),
            result("vtab/dtd", "acc1", 0.6),
        ];
        let found = aggregates(&results.iter().collect::<Vec<_>>());
        let of = |name: &str| found.iter().find(|f| f.0 == name).map(|f| (f.1, f.2, f.3));
        assert_eq!(of("ImageNet"), None);
        let (mean, there, whole) = of("ImageNet distribution shifts").unwrap();
        assert!((mean - 0.3).abs() < 1e-12 && there == 2 && whole == 6);
        assert_eq!(of("VTAB").map(|v| v.2), Some(13));
        assert_eq!(of("average").map(|v| (v.1, v.2)), Some((3, 38)));
    }

    #[test]
    fn all_38_sets_of_datacomp_can_be_in_the_average() {
        let faces = ["fairness/fairface", "fairness/utkface"];
        let tasks = clip_datasets::datacomp().iter().filter(|t| !faces.contains(&t.key.as_str()));
        let mut results: Vec<Value> = tasks
            .map(|task| {
                result(&task.key, if task.classes.is_some() { "acc1" } else { &task.metric }, 0.5)
            })
            .collect();
        let average = |results: &[Value]| {
            let found = aggregates(&results.iter().collect::<Vec<_>>());
            found.into_iter().find(|f| f.0 == "average").unwrap()
        };
        assert_eq!(average(&results), ("average", 0.5, 38, 38));
        results.retain(|d| d["dataset"] != "misc/winogavil");
        assert_eq!(average(&results).2, 37);
    }

    #[test]
    fn models_of_one_name_are_kept_apart() {
        let long = "runs/a/long/path/to/one/model/of/several/checkpoints/step_00001000";
        let with = |name: &str, hash: &str, value: f64| {
            let mut d = result("cifar10", "acc1", value);
            d["model"] = name.into();
            d["hashes"]["model"] = hash.into();
            d
        };
        let results = [with(long, "aaaaaaaaaa", 0.25), with(long, "bbbbbbbbbb", 0.75)];
        let text = table(&results);
        assert!(text.contains(&format!("{long} (aaaaaaaa)  cifar10")), "{text}");
        assert!(text.contains(&format!("{long} (bbbbbbbb): mean over 1 sets 75.00%")), "{text}");
        let folder = tempfile::tempdir().unwrap();
        let means = write_lines(folder.path(), &results).unwrap();
        assert!(means.contains("(aaaaaaaa): DataComp's average: 25.00% (1 of 38 sets)"), "{means}");
        let lines = std::fs::read_to_string(folder.path().join("eval_results_bbbbbbbb.jsonl"));
        assert!(lines.unwrap().contains("0.75"));
        let one = table(&results[..1]);
        assert!(one.contains(&format!("{long}  cifar10")) && !one.contains("(aaaaaaaa)"), "{one}");
    }
}
