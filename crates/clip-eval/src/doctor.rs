//! What may be wrong with an evaluation set, before and after a model has looked at it.

mod finding;
mod labels;

use std::collections::{BTreeMap, HashSet};

use clip_datasets::{EvalSet, Task, Truth};
use clip_image::{DecodeOptions, decode};
use rayon::prelude::*;

pub use finding::Finding;
use finding::{finding, listed};

use crate::{Prediction, Result};

/// Items that are read at a time.
const BATCH: usize = 256;

/// Reads every item: images, labels, keys, sizes, prompts.
pub fn examine(set: &EvalSet, progress: &dyn Fn(usize)) -> Result<Vec<Finding>> {
    let (mut count, mut unreadable) = (0usize, Vec::new());
    let mut keys = HashSet::new();
    let mut twice = Vec::new();
    let mut bytes: BTreeMap<[u8; 32], (String, Option<usize>)> = BTreeMap::new();
    let mut conflicts = Vec::new();
    let mut by_class = vec![0u64; set.classes.len()];
    let mut captions = 0usize;
    let mut items = set.items();
    let mut broken = None;
    loop {
        let mut batch = Vec::new();
        for item in items.by_ref().take(BATCH) {
            match item {
                Ok(item) => batch.push(item),
                Err(error) => {
                    broken = Some(error.to_string());
                    break;
                }
            }
        }
        let looked: Vec<_> = batch
            .par_iter()
            .map(|item| {
                let image = decode(&item.image, &DecodeOptions::default());
                (image.err().map(|e| e.to_string()), *blake3::hash(&item.image).as_bytes())
            })
            .collect();
        let stop = batch.len() < BATCH;
        for (item, (failed, hash)) in batch.into_iter().zip(looked) {
            count += 1;
            if let Some(reason) = failed {
                unreadable.push(format!("{} ({reason})", item.key));
            }
            match &item.truth {
                Truth::Class(class) => by_class[*class] += 1,
                Truth::Marks(marks) => {
                    marks
                        .iter()
                        .enumerate()
                        .filter(|m| *m.1 == 1)
                        .for_each(|(c, _)| by_class[c] += 1);
                }
                Truth::Captions(own) => captions += own.len(),
            }
            let class = item.truth.class();
            match bytes.get(&hash) {
                Some((other, known)) if class.is_some() && *known != class => {
                    conflicts.push(format!("{other} and {}", item.key));
                }
                Some(_) => {}
                None => {
                    bytes.insert(hash, (item.key.clone(), class));
                }
            }
            if !keys.insert(item.key.clone()) {
                twice.push(item.key);
            }
        }
        progress(count);
        if stop || broken.is_some() {
            break;
        }
    }
    let mut found = Vec::new();
    if let Some(reason) = broken {
        found.push(finding("items", false, format!("item {count} and those after it: {reason}")));
    }
    found.push(finding("images", unreadable.is_empty(), listed(&unreadable, "cannot be decoded")));
    found.push(finding("keys", twice.is_empty(), listed(&twice, "occur twice")));
    found.push(finding(
        "equal images",
        conflicts.is_empty(),
        listed(&conflicts, "are the same bytes with different classes"),
    ));
    if !set.left_out.is_empty() {
        found.push(finding(
            "folder",
            false,
            format!("not in the set: {}", set.left_out.join("; ")),
        ));
    }
    found.extend(size(set, count as u64));
    if set.task == Task::Retrieval {
        found.push(finding(
            "captions",
            captions > 0,
            format!("{captions} captions of {count} images"),
        ));
    } else {
        found.push(labels::matched(set));
        found.extend(classes(set, &by_class));
        found.push(labels::prompts(set));
    }
    Ok(found)
}

/// The number of items beside the paper's, DataComp's and CLIP_benchmark's.
fn size(set: &EvalSet, count: u64) -> Option<Finding> {
    // Some of the classes have neither size.
    let dataset = set.dataset.filter(|_| set.subset.is_none())?;
    let paper = match set.split {
        clip_datasets::Split::Test => dataset.test,
        clip_datasets::Split::Train => dataset.train,
        clip_datasets::Split::Val => None,
    };
    let datacomp = clip_datasets::find_datacomp(&dataset.id).map(|task| task.size);
    let datacomp = datacomp.filter(|_| set.split == clip_datasets::Split::Test);
    let known: Vec<u64> = paper.into_iter().chain(datacomp).collect();
    if known.is_empty() {
        return None;
    }
    let good = known.contains(&count);
    let wanted: Vec<String> = paper
        .map(|n| format!("{n} in the paper"))
        .into_iter()
        .chain(datacomp.map(|n| format!("{n} in DataComp")))
        .collect();
    let about = format!("{count} items; {} ({})", wanted.join(", "), dataset.split);
    Some(finding("size", good, about))
}

/// Classes without items, and the pattern that labels counted from 1 leave.
fn classes(set: &EvalSet, by_class: &[u64]) -> Vec<Finding> {
    let empty: Vec<String> = by_class
        .iter()
        .zip(&set.classes)
        .filter(|(count, _)| **count == 0)
        .map(|(_, name)| name.clone())
        .collect();
    let mut found = vec![finding("classes", empty.is_empty(), listed(&empty, "have no item"))];
    let first_only = by_class.len() > 2 && by_class[0] == 0 && by_class[1..].iter().all(|n| *n > 0);
    if first_only {
        let about =
            "only the first class has no item: labels counted from 1, with the last class cut off?";
        found.push(finding("label base", false, about));
    }
    if let Some(dataset) = set.dataset
        && set.subset.is_none()
        && let Some(count) = dataset.classes
        && count != set.classes.len()
    {
        found.push(finding(
            "class count",
            false,
            format!("{} classes, the registry has {count}", set.classes.len()),
        ));
    }
    found
}

/// What the predictions of a model say of the labels: a permuted order of classes, labels off by
/// one.
pub fn diagnose(predictions: &[Prediction], classes: &[String]) -> Vec<Finding> {
    let count = classes.len();
    let mut confusion = vec![vec![0u64; count]; count];
    for prediction in predictions {
        confusion[prediction.label as usize][prediction.prediction as usize] += 1;
    }
    let n = predictions.len().max(1) as f64;
    let own = (0..count).map(|c| confusion[c][c]).sum::<u64>() as f64 / n;
    let best = assignment(&confusion);
    let agreed = (0..count).map(|c| confusion[c][best[c]]).sum::<u64>() as f64 / n;
    // Any assignment gains a little by chance; a permutation gains a lot.
    let gains = agreed > 2.0 * own + 0.05 && agreed > own + 0.1 && agreed > 3.0 / count as f64;
    // A model that predicts one class gains where that is common, but not in the mean of classes.
    let permuted = gains
        && agreed > 1.5 * best_by_chance(n, count as f64)
        && per_class(&confusion, |c| best[c]) > per_class(&confusion, |c| c) + 0.1;
    let mut found = Vec::new();
    let about = if permuted {
        let moved: Vec<String> = (0..count)
            .filter(|&c| best[c] != c && confusion[c][best[c]] > 0)
            .take(5)
            .map(|c| format!("{:?} is predicted as {:?}", classes[c], classes[best[c]]))
            .collect();
        format!(
            "accuracy is {:.1}%, and would be {:.1}% with the classes in another order: {}",
            100.0 * own,
            100.0 * agreed,
            moved.join(", ")
        )
    } else if gains {
        format!(
            "accuracy {:.1}%; another order of the {count} classes gives {:.1}%, as {n} items do by chance or with \
             a model that predicts one class",
            100.0 * own,
            100.0 * agreed
        )
    } else {
        format!(
            "accuracy {:.1}%; no other order of classes does much better ({:.1}%)",
            100.0 * own,
            100.0 * agreed
        )
    };
    found.push(finding("class order", !permuted, about));
    for (shift, word) in [(1usize, "one more"), (count.saturating_sub(1), "one less")] {
        let shifted = (0..count).map(|c| confusion[c][(c + shift) % count]).sum::<u64>() as f64 / n;
        let mean = per_class(&confusion, |c| (c + shift) % count);
        let more = mean > per_class(&confusion, |c| c) + 0.1;
        if count > 2 && shifted > own + 0.1 && shifted > 2.0 * own && more {
            let about =
                format!("accuracy would be {:.1}% with every label {word}", 100.0 * shifted);
            found.push(finding("label base", false, about));
        }
    }
    found
}

/// The mean over classes that have items of the share of each that is predicted as `meant` says.
fn per_class(confusion: &[Vec<u64>], meant: impl Fn(usize) -> usize) -> f64 {
    let share = |(class, row): (usize, &Vec<u64>)| match row.iter().sum::<u64>() {
        0 => None,
        items => Some(row[meant(class)] as f64 / items as f64),
    };
    let shares: Vec<f64> = confusion.iter().enumerate().filter_map(share).collect();
    shares.iter().sum::<f64>() / shares.len().max(1) as f64
}

/// About the accuracy that the best order of classes has of predictions by chance: a cell of `n`
/// items in `c` by `c` has n / c² of them, and the best of `c` cells in each row some deviations
/// more.
fn best_by_chance(n: f64, c: f64) -> f64 {
    (1.0 + (2.0 * c * c.ln() / (n / c)).sqrt()) / c
}

/// The order of columns with the largest sum (Kuhn and Munkres, by shortest augmenting paths).
fn assignment(gains: &[Vec<u64>]) -> Vec<usize> {
    let n = gains.len();
    let cost = |row: usize, column: usize| -(gains[row - 1][column - 1] as f64);
    let (mut u, mut v) = (vec![0.0; n + 1], vec![0.0; n + 1]);
    let (mut row_of, mut way) = (vec![0usize; n + 1], vec![0usize; n + 1]);
    for row in 1..=n {
        row_of[0] = row;
        let mut column = 0;
        let mut least = vec![f64::INFINITY; n + 1];
        let mut used = vec![false; n + 1];
        while row_of[column] != 0 {
            used[column] = true;
            let at = row_of[column];
            let (mut delta, mut next) = (f64::INFINITY, 0);
            for other in 1..=n {
                if !used[other] {
                    let reduced = cost(at, other) - u[at] - v[other];
                    if reduced < least[other] {
                        least[other] = reduced;
                        way[other] = column;
                    }
                    if least[other] < delta {
                        delta = least[other];
                        next = other;
                    }
                }
            }
            for other in 0..=n {
                if used[other] {
                    u[row_of[other]] += delta;
                    v[other] -= delta;
                } else {
                    least[other] -= delta;
                }
            }
            column = next;
        }
        while column != 0 {
            row_of[column] = row_of[way[column]];
            column = way[column];
        }
    }
    let mut best = vec![0; n];
    (1..=n).for_each(|column| best[row_of[column] - 1] = column - 1);
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(pairs: &[(u32, u32, usize)]) -> Vec<Prediction> {
        let one = |label, prediction| Prediction {
            key: String::new(),
            label,
            prediction,
            rank: u32::from(label != prediction),
            score: 0.0,
            group: None,
        };
        pairs.iter().flat_map(|&(l, p, n)| (0..n).map(move |_| one(l, p))).collect()
    }

    #[test]
    fn the_best_assignment_is_found() {
        assert_eq!(assignment(&[vec![1, 9, 0], vec![8, 9, 0], vec![0, 5, 4]]), [1, 0, 2]);
        assert_eq!(assignment(&[vec![5]]), [0]);
    }

    #[test]
    fn permuted_classes_and_labels_from_one_are_reported() {
        let classes: Vec<String> = ["cat", "dog", "owl", "fox"].map(str::to_owned).to_vec();
        let swapped = diagnose(
            &predictions(&[(0, 1, 20), (1, 0, 20), (2, 2, 20), (3, 3, 2), (3, 0, 3)]),
            &classes,
        );
        assert!(
            !swapped[0].good && swapped[0].about.contains("\"cat\" is predicted as \"dog\""),
            "{swapped:?}"
        );
        let permuted = diagnose(
            &predictions(&[(0, 2, 20), (2, 0, 20), (1, 3, 15), (3, 1, 18), (1, 1, 2)]),
            &classes,
        );
        assert!(
            !permuted[0].good && permuted[0].about.contains("\"cat\" is predicted as \"owl\""),
            "{permuted:?}"
        );
        let shifted =
            diagnose(&predictions(&[(0, 1, 20), (1, 2, 20), (2, 3, 15), (3, 0, 18)]), &classes);
        assert!(
            shifted.iter().any(|f| f.check == "label base" && f.about.contains("one more")),
            "{shifted:?}"
        );
        let good =
            diagnose(&predictions(&[(0, 0, 10), (1, 1, 12), (2, 0, 5), (3, 3, 9)]), &classes);
        assert!(good.iter().all(|f| f.good), "{good:?}");
    }

    #[test]
    fn what_chance_and_one_predicted_class_do_is_no_other_order() {
        let classes: Vec<String> = ["cat", "dog", "owl", "fox"].map(str::to_owned).to_vec();
        let one = [(0, 1, 300), (1, 1, 20), (2, 1, 35), (3, 1, 35)];
        let one = diagnose(&predictions(&one), &classes);
        assert!(one.iter().all(|f| f.good) && one[0].about.contains("one class"), "{one:?}");
        // 32 items of 37 classes, predicted at random.
        let classes: Vec<String> = (0..37).map(|n| n.to_string()).collect();
        let random: Vec<_> = (0..32).map(|n| (n, (n * 17 + n * n * 5 + 3) % 37, 1)).collect();
        let random = diagnose(&predictions(&random), &classes);
        assert!(
            random.iter().all(|f| f.good) && random[0].about.contains("32 items"),
            "{random:?}"
        );
    }

    #[test]
    fn what_is_wrong_with_a_folder_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        for (class, name, bytes) in [
            ("a", "1.ppm", &b"P6\n1 1\n255\nabc"[..]),
            ("b", "2.ppm", b"P6\n1 1\n255\nabc"),
            ("b", "3.png", b"no image"),
        ] {
            let folder = dir.path().join(class);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(name), bytes).unwrap();
        }
        let found = examine(&clip_datasets::open(dir.path()).unwrap(), &|_| {}).unwrap();
        let of = |check: &str| found.iter().find(|f| f.check == check).unwrap();
        assert!(
            !of("images").good && of("images").about.starts_with("1 cannot be decoded: b/3.png")
        );
        assert!(
            !of("equal images").good && of("equal images").about.contains("a/1.ppm and b/2.ppm")
        );
        assert!(of("keys").good && of("classes").good && of("prompts").good);
    }
}
