//! Metrics beside `CLIP_benchmark`, WILDS and scikit-learn: `scripts/oracles/metrics.py` made the
//! golden files.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use clip_corpus::{Sample, ShardWriter};
use clip_datasets::choice::Instance;
use clip_datasets::{Metric, Protocol, Task, Truth, datacomp, dataset, datasets, open};
use clip_eval::{
    ChoiceResult, LogitItems, Scheme, Score, Scored, group_metric, retrieval_scores, score,
    score_choices,
};
use serde_json::Value;

fn golden(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/oracle/metrics");
    let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn rows(value: &Value) -> Vec<Vec<f32>> {
    serde_json::from_value(value.clone()).unwrap()
}

/// A value beside the outside program's, and a line for the table of oracles.
fn same(what: &str, cases: usize, outside: &Value, found: Option<f64>) {
    let wanted = outside["value"].as_f64().unwrap();
    let apart = (found.unwrap() - wanted).abs();
    assert!(apart <= 1e-6, "{what}: {found:?} is not {wanted}");
    let (wrong, by) = (word(&outside["wrong"]), outside["wrong_by"].as_f64().unwrap());
    assert!(by > 1e-3);
    println!(
        "oracle\tmetrics\t{what}\t{}\t{cases}\t{apart:.1e}\t{wrong}: differs by {by:.4}",
        word(&outside["by"])
    );
}

fn close(found: f64, outside: &Value) -> bool {
    (found - outside.as_f64().unwrap()).abs() <= 1e-6
}

fn scheme(set: &str, classes: usize, protocol: Protocol) -> Scheme {
    // DataComp's VOC 2007 is crops of one class each.
    let known = datasets().iter().find(|d| d.id == set && protocol == Protocol::OpenAi);
    let metric = known.map_or(Metric::Accuracy, |d| d.metric);
    let task = if metric == Metric::Map11Point { Task::MultiLabel } else { Task::Classification };
    Scheme { set: set.into(), task, classes, metric, protocol, score: Score::Softmax }
}

fn items(document: &Value) -> LogitItems {
    let rows = rows(&document["logits"]);
    let truths = match document["labels"].as_array() {
        Some(labels) => labels.iter().map(|l| Truth::Class(l.as_u64().unwrap() as usize)).collect(),
        None => {
            let marks: Vec<Vec<i8>> = serde_json::from_value(document["marks"].clone()).unwrap();
            marks.into_iter().map(Truth::Marks).collect()
        }
    };
    LogitItems {
        keys: (0..rows.len()).map(|at| at.to_string()).collect(),
        groups: vec![None; rows.len()],
        truths,
        rows,
    }
}

fn main_value(scored: &Scored) -> Option<f64> {
    scored.metrics[&scored.main_metric]
}

#[test]
fn oracle_metrics_of_classes() {
    for (name, set) in [("single", "x"), ("binary", "x"), ("several", "voc2007")] {
        let document = golden(name);
        let items = items(&document);
        let classes = items.rows[0].len();
        let scored = score(&scheme(set, classes, Protocol::OpenAi), &items).unwrap();
        for (metric, outside) in document["metrics"].as_object().unwrap() {
            // WILDS's name for the mean over the classes that items have.
            let own = if metric == "recall-macro_all" { "mean_per_class_recall" } else { metric };
            same(&format!("{metric} ({name})"), items.rows.len(), outside, scored.metrics[own]);
        }
    }
}

/// Logits of the classes with the groups of one set.
fn grouped(document: &Value) -> LogitItems {
    let groups = document["groups"].as_array().unwrap().iter();
    LogitItems {
        groups: groups.map(|group| Some(word(group).to_owned())).collect(),
        ..items(&golden("single"))
    }
}

#[test]
fn oracle_metrics_of_groups() {
    for (set, document) in golden("groups").as_object().unwrap() {
        let items = grouped(document);
        let scored = score(&scheme(set, 12, Protocol::DataComp), &items).unwrap();
        let metric = word(&document["metric"]);
        same(&format!("{metric} ({set})"), items.rows.len(), document, scored.metrics[metric]);
        let groups = scored.groups.unwrap();
        let all = document["all"].as_object().unwrap();
        assert_eq!(groups.len(), all.len());
        for (name, value) in all {
            assert!(close(groups[name].value, value), "{set} {name}");
            assert!(close(groups[name].n as f64, &document["counts"][name]), "{set} {name}");
        }
        if set == "fmow" {
            let without = scored.metrics["acc_worst_region_without_other"].unwrap();
            assert!(close(without, &document["without_other"]));
            // Where regions have names, WILDS's own rule: "Other" is left out.
            let mut named = items.clone();
            for group in named.groups.iter_mut().flatten() {
                *group = if group == "region:5" { "Other".into() } else { group.clone() };
            }
            let named = score(&scheme(set, 12, Protocol::DataComp), &named).unwrap();
            assert!(close(main_value(&named).unwrap(), &document["without_other"]));
        }
    }
}

#[test]
fn oracle_metrics_groups_are_read_from_shards() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = |hex: &str| -> Vec<u8> {
        let pairs = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    };
    let tasks = datacomp().iter().filter(|task| task.groups.is_some());
    let mut read = 0;
    for task in tasks {
        let short = task.key.rsplit('/').next().unwrap();
        let document = &golden("groups")[short];
        let root = dir.path().join(format!("wds_{}_test", task.key.replace('/', "-")));
        let mut shard = ShardWriter::create(&root.join("test/0.tar")).unwrap();
        for (at, row) in document["npy"].as_array().unwrap().iter().enumerate() {
            let fields = [
                ("cls".to_owned(), b"1".to_vec()),
                ("npy".to_owned(), bytes(word(row))),
                ("png".to_owned(), vec![at as u8]),
            ];
            shard.write(&Sample { key: format!("s{at:07}"), fields: fields.into() }).unwrap();
        }
        shard.finish().unwrap();
        std::fs::write(root.join("test/nshards.txt"), "1\n").unwrap();
        std::fs::write(root.join("classnames.txt"), "a\nb\n").unwrap();
        let set = open(&root).unwrap();
        assert!(set.len().is_none() && set.count().unwrap() == 12);
        for (at, item) in set.items().enumerate() {
            let item = item.unwrap();
            assert_eq!(item.group.as_deref(), document["groups"][at].as_str(), "{}", task.key);
            read += 1;
        }
        let sampled: Vec<u8> = set.sampled(3, 12).map(|item| item.unwrap().image[0]).collect();
        assert_eq!(sampled, [0, 4, 8]);
    }
    assert_eq!(read, 48);
}

#[test]
fn oracle_metrics_of_retrieval() {
    let document = golden("retrieval");
    let (captions, found) = retrieval(&document, &[1, 5, 10]);
    for (metric, outside) in document["metrics"].as_object().unwrap() {
        same(metric, captions, outside, found[metric]);
    }
}

/// The number of captions, and the scores of their similarities to 14 images.
fn retrieval(document: &Value, ks: &[usize]) -> (usize, BTreeMap<String, Option<f64>>) {
    let similarity: Vec<Vec<f32>> = rows(&document["similarity"]);
    let owner: Vec<usize> = serde_json::from_value(document["owner"].clone()).unwrap();
    let of_captions = |captions: Range<usize>| Ok(similarity[captions].concat());
    let column = |image: usize| similarity.iter().map(move |row| row[image]);
    let of_images = |images: Range<usize>| Ok(images.flat_map(column).collect());
    let scores = retrieval_scores(of_captions, of_images, &owner, 14, ks).unwrap();
    (owner.len(), scores.metrics())
}

fn instance(images: usize, captions: usize, chosen: Option<Vec<bool>>) -> Instance {
    Instance {
        key: "i".into(),
        group: "all".into(),
        images: vec!["x".into(); images],
        captions: vec![String::new(); captions],
        chosen,
    }
}

#[test]
fn oracle_metrics_of_choices() {
    for (name, document) in golden("choices").as_object().unwrap() {
        let count = |key: &str| document[key].as_u64().unwrap() as usize;
        let similarities: Vec<Vec<Vec<f32>>> =
            serde_json::from_value(document["similarities"].clone()).unwrap();
        let flat: Vec<Vec<f32>> = similarities.into_iter().map(|rows| rows.concat()).collect();
        let instances = vec![instance(count("images"), count("captions"), None); flat.len()];
        let found = score_choices(&instances, &flat).unwrap();
        for (metric, value) in document["metrics"].as_object().unwrap() {
            assert!(close(found.metrics[metric].unwrap(), value), "{name} {metric}");
        }
        same(&format!("acc ({name})"), flat.len(), document, found.metrics[found.main_metric]);
    }
}

/// WinoGAViL's instances, scored.
fn cues() -> (Value, ChoiceResult) {
    let document = golden("cues");
    let all = document["instances"].as_array().unwrap();
    let truth = |at: &Value| -> Vec<bool> { serde_json::from_value(at["truth"].clone()).unwrap() };
    let instances: Vec<Instance> =
        all.iter().map(|at| instance(truth(at).len(), 1, Some(truth(at)))).collect();
    let scores: Vec<Vec<f32>> =
        all.iter().map(|at| serde_json::from_value(at["similarities"].clone()).unwrap()).collect();
    let found = score_choices(&instances, &scores).unwrap();
    (document, found)
}

#[test]
fn oracle_metrics_of_cues() {
    let (document, found) = cues();
    let wanted = document["metrics"].as_object().unwrap();
    assert_eq!(found.metrics.len(), wanted.len());
    for (metric, value) in wanted {
        assert!(close(found.metrics[metric].unwrap(), value), "{metric}");
    }
    assert_eq!(found.main_metric, "jaccard_score_10-12");
    same(found.main_metric, 80, &document, found.metrics[found.main_metric]);
}

/// The golden value of a metric of one class an item, and the items that it is of.
fn of_metric(key: &str, metric: &str) -> (LogitItems, Value) {
    let groups = golden("groups");
    if let Some(document) = groups.get(key).filter(|document| document["metric"] == metric) {
        return (grouped(document), document.clone());
    }
    let name = match metric {
        "roc_auc" => "binary",
        "map_11_point" => "several",
        _ => "single",
    };
    let document = golden(name);
    (items(&document), document["metrics"][metric].clone())
}

#[test]
fn oracle_metrics_count_for_each_set() {
    let sets = golden("sets");
    let theirs = sets["datacomp"].as_object().unwrap();
    let faces = ["fairness/fairface", "fairness/utkface"];
    let tasks: Vec<_> = datacomp().iter().filter(|t| !faces.contains(&t.key.as_str())).collect();
    assert_eq!((theirs.len(), tasks.len()), (38, 38));
    for task in tasks {
        let metric = word(&theirs[&task.key]);
        let short = task.key.rsplit('/').next().unwrap();
        let (outside, cases, found) = match metric {
            "mean_recall@1" => {
                let document = golden("retrieval");
                let (captions, found) = retrieval(&document, &[1]);
                assert_eq!(task.metric, metric);
                (document["metrics"][metric].clone(), captions, found[metric])
            }
            "jaccard_score_10-12" => {
                let (document, scored) = cues();
                assert_eq!((task.metric.as_str(), scored.main_metric), (metric, metric));
                (document, 80, scored.metrics[metric])
            }
            _ => {
                let (items, outside) = of_metric(short, metric);
                let scored = score(&scheme(&task.key, 12, Protocol::DataComp), &items).unwrap();
                assert_eq!(scored.main_metric, metric, "{}", task.key);
                assert_eq!(group_metric(task) == "acc_top5", short == "dollar_street");
                (outside, items.rows.len(), main_value(&scored))
            }
        };
        same(&format!("{} of DataComp: {metric}", task.key), cases, &outside, found);
    }
    let paper = sets["paper"].as_object().unwrap();
    assert_eq!(paper.len(), 27);
    for (id, metric) in paper {
        let metric = word(metric);
        assert_eq!(dataset(id).unwrap().metric.name(), metric);
        let (items, outside) = of_metric("", metric);
        let classes = items.rows[0].len();
        let scored = score(&scheme(id, classes, Protocol::OpenAi), &items).unwrap();
        assert_eq!(scored.main_metric, metric, "{id}");
        same(
            &format!("{id} of the paper: {metric}"),
            items.rows.len(),
            &outside,
            main_value(&scored),
        );
    }
}
