//! The labels of other packages' lists, as folders and as a table: each is the class that means the
//! same (`scripts/oracles/labels.py`).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::HashMap;
use std::path::Path;

use clip_datasets::{ClassMatch, OpenOptions, Protocol, open_with, prompts};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    wrong_by: HashMap<String, f64>,
    lists: Vec<List>,
}

/// One list: its labels, or the number of its first class, and the class of each.
#[derive(Deserialize)]
struct List {
    dataset: String,
    protocol: String,
    source: String,
    labels: Option<Vec<String>>,
    from: Option<usize>,
    classes: Vec<usize>,
}

impl List {
    fn labels(&self) -> Vec<String> {
        let from = self.from.unwrap_or_default();
        let numbers = || (from..from + self.classes.len()).map(|n| n.to_string()).collect();
        self.labels.clone().unwrap_or_else(numbers)
    }
}

fn golden() -> Golden {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/oracle/labels.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// How the labels of a set found their classes, and the key and class of each item.
fn found(path: &Path, list: &List, layout: &str) -> (ClassMatch, Vec<(String, usize)>) {
    let options = OpenOptions {
        name: Some(list.dataset.clone()),
        protocol: Some(list.protocol.parse().unwrap()),
        loader: Some(layout.into()),
        ..OpenOptions::default()
    };
    let set = open_with(path, &options)
        .map_err(|error| format!("{} ({}): {error}", list.dataset, list.source))
        .unwrap();
    let items = set.items().map(Result::unwrap);
    (set.class_match, items.map(|item| (item.key, item.truth.class().unwrap())).collect())
}

/// Checks a list as a table and, where its labels are names that a folder can have, as a tree, both
/// with one to three items a class and the table in another order. Returns the number of labels
/// that were checked.
fn check(list: &List) -> usize {
    let labels = list.labels();
    let wanted: HashMap<&str, usize> =
        labels.iter().map(String::as_str).zip(list.classes.iter().copied()).collect();
    let names = prompts(&list.dataset, list.protocol.parse::<Protocol>().unwrap()).unwrap().names;
    let compare = |kind: ClassMatch, items: &[(&str, usize)]| {
        let what = format!("{} ({})", list.dataset, list.source);
        let number = list.labels.is_none();
        assert_eq!(kind, if number { ClassMatch::Number } else { ClassMatch::Name }, "{what}");
        assert_eq!(items.len(), (0..labels.len()).map(|at| 1 + at % 3).sum::<usize>(), "{what}");
        for &(label, class) in items {
            let place = wanted[label];
            assert_eq!((class, &names[class]), (place, &names[place]), "{what}: {label}");
        }
    };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.png"), b"x").unwrap();
    let mut rows = Vec::new();
    for (at, label) in labels.iter().enumerate().rev() {
        rows.extend((0..=at % 3).map(|_| label.as_str()));
    }
    let lines: String = rows.iter().map(|label| format!("x.png,\"{label}\"\n")).collect();
    let table = dir.path().join("table.csv");
    std::fs::write(&table, format!("image,label\n{lines}")).unwrap();
    let (kind, items) = found(&table, list, "manifest");
    let classes = items.iter().map(|(_, class)| *class);
    compare(kind, &rows.iter().copied().zip(classes).collect::<Vec<_>>());
    if list.labels.is_none() || labels.iter().any(|label| label.contains('/')) {
        return labels.len();
    }
    for (at, label) in labels.iter().enumerate() {
        // A class of some is called "train".
        let folder = dir.path().join("tree/test").join(label);
        std::fs::create_dir_all(&folder).unwrap();
        for image in 0..=at % 3 {
            std::fs::write(folder.join(format!("{image}.png")), b"x").unwrap();
        }
    }
    let (kind, items) = found(&dir.path().join("tree"), list, "folder");
    let items = items.iter().map(|(key, class)| (key.rsplit_once('/').unwrap().0, *class));
    compare(kind, &items.collect::<Vec<_>>());
    2 * labels.len()
}

#[test]
fn labels_of_other_packages_mean_the_same_classes() {
    let golden = golden();
    let packages = "torchvision 0.26.0, TFDS 4.9.9, mmpretrain 1.2.0, CLIP_benchmark 1.6.2, timm 1.0.31, pycountry 26.2.16";
    for (kind, what) in [
        ("names", "class of each label that is a name"),
        ("numbers", "class of each label that is a number"),
    ] {
        let lists = golden.lists.iter().filter(|list| list.labels.is_some() == (kind == "names"));
        let (mut count, mut checked) = (0, 0);
        for list in lists {
            checked += check(list);
            count += 1;
        }
        assert!(count > 20 && checked > 4000, "{count} lists, {checked} labels");
        let wrong = golden.wrong_by[kind];
        assert!(wrong > 1e-3);
        println!(
            "oracle\tlabels\t{what}\t{packages}\t{checked} in {count} lists\t0\tposition in string order: differs by {wrong:.3}"
        );
    }
}

#[test]
fn every_dataset_with_names_that_are_listed_is_checked() {
    let golden = golden();
    let listed = |id: &str| golden.lists.iter().any(|list| list.dataset == id);
    // Their labels are the prompts' names, or numbers that nothing else orders.
    let own = [
        "birdsnap",
        "stl10",
        "kitti",
        "pcam",
        "kinetics700",
        "hateful-memes",
        "imagenetv2",
        "imagenet-sketch",
    ];
    for dataset in clip_datasets::datasets() {
        if prompts(&dataset.id, Protocol::OpenAi).is_some() {
            assert_ne!(listed(&dataset.id), own.contains(&dataset.id.as_str()), "{}", dataset.id);
        }
    }
}
