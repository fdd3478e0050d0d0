//! Result files of a suite: one table of all, and DataComp's file of lines with its means, model by
//! model.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clip_cli::counted;
use clip_datasets::find_datacomp;
use clip_eval::{DataCompLine, ResultRecord};

/// All results of a folder, sorted by model and dataset; other JSON files are left out.
pub fn read(folder: &Path) -> anyhow::Result<Vec<ResultRecord>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    let known = paths.iter().filter_map(|path| ResultRecord::read(path).ok());
    let mut results: Vec<ResultRecord> = known.filter(|d| d.metrics.is_some()).collect();
    results.sort_by_cached_key(|d| {
        (
            word(d.model.as_deref()).to_owned(),
            d.hashes.model.clone(),
            word(d.dataset.as_deref()).to_owned(),
        )
    });
    Ok(results)
}

/// Keeps checkpoints of one name apart in the names of files: 8 digits of their path's hash.
pub fn path_hash(path: &str) -> String {
    blake3::hash(path.as_bytes()).to_hex()[..8].to_owned()
}

fn word(text: Option<&str>) -> &str {
    text.unwrap_or("-")
}

/// Which of the classes a result is over, where it is not over all.
pub fn subset(record: &ResultRecord) -> String {
    record.class_subset.as_ref().map_or(String::new(), |kept| {
        format!(" ({} of {} classes: {})", kept.classes, kept.of, kept.name)
    })
}

/// What each result's model is called: its name, with its hash where two models have one name.
pub fn labels(results: &[ResultRecord]) -> Vec<String> {
    let mut hashes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for d in results {
        hashes.entry(word(d.model.as_deref())).or_default().insert(&d.hashes.model);
    }
    let label = |d: &ResultRecord| {
        let name = word(d.model.as_deref());
        if hashes[name].len() > 1 {
            format!("{name} ({})", d.hashes.model.get(..8).unwrap_or("no hash"))
        } else {
            name.to_owned()
        }
    };
    results.iter().map(label).collect()
}

/// The top-1 accuracies on the items without a copy in the corpus and with one.
pub fn split(record: &ResultRecord) -> [Option<f64>; 2] {
    [&record.clean, &record.overlap].map(|part| Some(part.as_ref()?.acc1.value))
}

/// The table of all results, with each model's mean. Those that this call did not ask for have a
/// star.
pub fn table(results: &[ResultRecord], asked: &dyn Fn(&ResultRecord) -> bool) -> String {
    let labels = labels(results);
    let percent = |value: Option<f64>| value.map_or("-".into(), |v| format!("{:.2}%", 100.0 * v));
    let head = ["model", "dataset", "protocol", "items", "metric", "value", "chance"];
    let parts: &[&str] =
        if results.iter().any(|d| split(d) != [None; 2]) { &["clean", "overlap"] } else { &[] };
    let mut rows = vec![head.iter().chain(parts).map(|&name| name.to_owned()).collect::<Vec<_>>()];
    let mut earlier = 0u64;
    let mut values: BTreeMap<&str, Vec<(f64, &str)>> = BTreeMap::new();
    for (d, label) in results.iter().zip(&labels) {
        let items = d.items.or(d.images).unwrap_or(0);
        let value = d.main_value();
        let star = if asked(d) { "" } else { "*" };
        earlier += u64::from(!star.is_empty());
        let mut row = vec![
            label.clone(),
            word(d.dataset.as_deref()).to_owned() + &subset(d) + star,
            word(d.protocol.as_deref()).to_owned(),
            items.to_string(),
            word(d.main_metric.as_deref()).to_owned(),
            percent(value),
            percent(d.chance),
        ];
        row.extend(split(d).map(percent).into_iter().take(parts.len()));
        rows.push(row);
    }
    // A set that was scored by two protocols counts once: as this call asked for.
    let (mut counted_sets, mut of_several) = (HashSet::new(), false);
    let both = results.iter().zip(&labels);
    let (now, before): (Vec<_>, Vec<_>) = both.partition(|(d, _)| asked(d));
    for (d, label) in now.into_iter().chain(before) {
        let Some(value) = d.main_value() else { continue };
        let set = d.dataset_path.as_deref().unwrap_or(word(d.dataset.as_deref()));
        if counted_sets.insert((label, set, word(d.dataset.as_deref()), subset(d))) {
            let metric = word(d.main_metric.as_deref());
            values.entry(label).or_default().push((value, metric));
        } else {
            of_several = true;
        }
    }
    let mut text = clip_cli::table(&rows, &[3, 5, 6, 7, 8]);
    if earlier > 0 {
        text.push_str(&format!(
            "* {} of earlier calls, in the means as well\n",
            counted(earlier, "result")
        ));
    }
    if of_several {
        text.push_str("a set with results by several protocols counts once in the means\n");
    }
    for (model, values) in values {
        let count = values.len();
        let mean = 100.0 * values.iter().map(|(value, _)| value).sum::<f64>() / count as f64;
        let sets = counted(count, "set");
        let metrics: BTreeSet<&str> = values.into_iter().map(|(_, metric)| metric).collect();
        let mixed = match metrics.len() {
            1 => String::new(),
            _ => format!(" (of {}: each set's own metric)", Vec::from_iter(metrics).join(", ")),
        };
        text.push_str(&format!("{model}: mean over {sets} {mean:.2}%{mixed}\n"));
    }
    text
}

/// Writes DataComp's `eval_results.jsonl`, a file for each model where there are several, and
/// returns its five means where their sets are there.
pub fn write_lines(folder: &Path, results: &[ResultRecord]) -> anyhow::Result<String> {
    let mut models: BTreeMap<(String, String), Vec<&ResultRecord>> = BTreeMap::new();
    for (d, label) in results.iter().zip(labels(results)) {
        // One checkpoint may be there under several settings, each in a folder of its own.
        let hash = d.model_folder.as_deref().map(path_hash);
        let hash = hash.unwrap_or_else(|| d.hashes.model.chars().take(8).collect());
        models.entry((label, hash)).or_default().push(d);
    }
    let several = models.len() > 1;
    let mut text = String::new();
    for ((label, hash), own) in &models {
        let mut lines = String::new();
        for (_, line) in own.iter().filter_map(|d| whole(d)) {
            lines.push_str(&serde_json::to_string(line)?);
            lines.push('\n');
        }
        let name = if several {
            format!("eval_results_{hash}.jsonl")
        } else {
            "eval_results.jsonl".into()
        };
        clip_format::write_atomic(&folder.join(name), lines.as_bytes())?;
        let of = if several { format!("{label}: ") } else { String::new() };
        for (name, value, count, all) in aggregates(own) {
            let note =
                if count == all { String::new() } else { format!(" ({count} of {all} sets)") };
            text.push_str(&format!("{of}DataComp's {name}: {:.2}%{note}\n", 100.0 * value));
        }
    }
    Ok(text)
}

/// A result on a whole set, with DataComp's line of it.
fn whole(record: &ResultRecord) -> Option<(&ResultRecord, &DataCompLine)> {
    let line = record.datacomp.as_ref()?;
    let dataset = clip_datasets::find(word(record.dataset.as_deref()));
    let has_size = |items| match dataset {
        Some(set) => set.has_test_size(items),
        None => find_datacomp(&line.key).is_none_or(|task| task.is_size(items)),
    };
    let items = record.items.or(record.images);
    let whole = record.class_subset.is_none() && items.is_none_or(has_size);
    whole.then_some((record, line))
}

/// DataComp's means of one model: name, value, sets that are there, sets that belong to it.
fn aggregates(results: &[&ResultRecord]) -> Vec<(&'static str, f64, usize, usize)> {
    let mut values: BTreeMap<&str, f64> = BTreeMap::new();
    // Images with captions and choices have one protocol.
    let shared = ["mean_recall@1", "jaccard_score_10-12"];
    for (d, line) in results.iter().filter_map(|d| whole(d)) {
        let theirs = word(d.protocol.as_deref()) == "datacomp"
            || shared.contains(&word(d.main_metric.as_deref()));
        if let Some(value) = line.metrics.main_metric.filter(|_| theirs) {
            values.insert(&line.key, value);
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
        let there: Vec<f64> =
            keys.iter().filter_map(|key| values.get(key.as_str()).copied()).collect();
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
    use serde_json::{Value, json};

    fn result(key: &str, metric: &str, value: f64) -> ResultRecord {
        let protocol = if metric == "acc1" { json!("datacomp") } else { Value::Null };
        let record = json!({"protocol": protocol, "main_metric": metric,
            "metrics": {metric: value}, "dataset": key,
            "model": "m", "hashes": {"model": "0123456789"},
            "datacomp": {"key": key, "dataset": key, "metrics": {"main_metric": value}}});
        serde_json::from_value(record).unwrap()
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
        let mut results: Vec<ResultRecord> = tasks
            .map(|task| {
                result(&task.key, if task.classes.is_some() { "acc1" } else { &task.metric }, 0.5)
            })
            .collect();
        let average = |results: &[ResultRecord]| {
            let found = aggregates(&results.iter().collect::<Vec<_>>());
            found.into_iter().find(|f| f.0 == "average").unwrap()
        };
        assert_eq!(average(&results), ("average", 0.5, 38, 38));
        // A part of a set is in no mean, also of captions, and of a set that the paper has not.
        let captions = results.iter().position(|d| word(d.dataset.as_deref()).contains("coco"));
        for (images, sets) in [(60, 37), (5000, 38)] {
            let result = &mut results[captions.unwrap()];
            (result.images, result.dataset) = (Some(images), Some("mscoco".into()));
            assert_eq!(average(&results).2, sets, "{images}");
        }
        let of_set = |d: &ResultRecord| word(d.dataset.as_deref()) == "misc/winogavil";
        let winogavil = results.iter().position(of_set).unwrap();
        for (items, sets) in [(3563, 38), (3568, 38), (20, 37)] {
            results[winogavil].items = Some(items);
            assert_eq!(average(&results).2, sets, "{items}");
        }
    }

    #[test]
    fn models_of_one_name_are_kept_apart() {
        let long = "runs/a/long/path/to/one/model/of/several/checkpoints/step_00001000";
        let with = |name: &str, hash: &str, value: f64| {
            let mut d = result("cifar10", "acc1", value);
            d.model = Some(name.into());
            d.hashes.model = hash.into();
            d
        };
        let results = [with(long, "aaaaaaaaaa", 0.25), with(long, "bbbbbbbbbb", 0.75)];
        let text = table(&results, &|d| d.hashes.model == "aaaaaaaaaa");
        assert!(text.contains(&format!("{long} (aaaaaaaa)  cifar10")), "{text}");
        assert!(text.contains(&format!("{long} (bbbbbbbb): mean over 1 set 75.00%")), "{text}");
        assert!(text.contains("(bbbbbbbb)  cifar10*"), "{text}");
        assert!(text.contains("* 1 result of earlier calls"), "{text}");
        let folder = tempfile::tempdir().unwrap();
        let means = write_lines(folder.path(), &results).unwrap();
        assert!(means.contains("(aaaaaaaa): DataComp's average: 25.00% (1 of 38 sets)"), "{means}");
        let lines = std::fs::read_to_string(folder.path().join("eval_results_bbbbbbbb.jsonl"));
        assert!(lines.unwrap().contains("0.75"));
        let mixed = [result("svhn", "acc1", 0.25), result("pets", "mean_per_class_recall", 0.75)];
        let text = table(&mixed, &|_| true);
        let mut again = mixed[0].clone();
        (again.protocol, again.file) = (Some("openai".into()), "asked".into());
        again.metrics = Some([("acc1".to_owned(), Some(0.75))].into());
        let twice = table(&[mixed[0].clone(), again], &|d| d.file == Path::new("asked"));
        assert!(twice.contains("m: mean over 1 set 75.00%\n"), "{twice}");
        assert!(twice.contains("counts once in the means"), "{twice}");
        let wanted = "m: mean over 2 sets 50.00% (of acc1, mean_per_class_recall: each set's own";
        assert!(text.contains(wanted), "{text}");
        let one = table(&results[..1], &|_| true);
        assert!(one.contains(&format!("{long}  cifar10")) && !one.contains("(aaaaaaaa)"), "{one}");
    }
}
