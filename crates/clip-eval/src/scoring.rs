//! From logits to metrics: the one function that scores of classes come from.

use std::collections::BTreeMap;

use clip_datasets::{DataCompTask, Metric, Protocol, Task, Truth, find, find_datacomp};
use serde::Serialize;

use crate::metrics::{
    Accuracy, Scores, average_precision, best, by_group, eleven_points, log_softmax, macro_f1,
    mean_average_precision, rank_of, roc_auc, softmax, worst_group,
};
use crate::{Error, Prediction, Result};

/// What average precision ranks by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Score {
    /// The probability over the classes: what reproduces the paper.
    #[default]
    Softmax,
    /// The plain logit: CLIP_benchmark's.
    Logit,
}

/// What a set asks, and whose metric counts.
#[derive(Debug, Clone)]
pub struct Scheme {
    /// The set's name.
    pub set: String,
    /// One class an item, or several.
    pub task: Task,
    /// Number of classes.
    pub classes: usize,
    /// The paper's metric.
    pub metric: Metric,
    /// Whose metric counts.
    pub protocol: Protocol,
    /// What average precision ranks by.
    pub score: Score,
}

/// Logits of items, with what is true of each.
#[derive(Debug, Clone, Default)]
pub struct LogitItems {
    /// Keys.
    pub keys: Vec<String>,
    /// Classes, or marks of classes.
    pub truths: Vec<Truth>,
    /// The group of each, where there are groups.
    pub groups: Vec<Option<String>>,
    /// A logit for each class.
    pub rows: Vec<Vec<f32>>,
}

/// What logits score.
#[derive(Debug, Clone, Default)]
pub struct Scored {
    /// The metric that counts for the set.
    pub main_metric: String,
    /// Its value for a guess, where that is known.
    pub chance: Option<f64>,
    /// Every metric by its name in result files; none where it has no value.
    pub metrics: BTreeMap<String, Option<f64>>,
    /// Over all items; none with several classes an item.
    pub all: Option<Scores>,
    /// Accuracy by group, where there are groups.
    pub groups: Option<BTreeMap<String, Accuracy>>,
    /// Average precision by class, with several classes an item.
    pub precision: Option<Vec<Option<f64>>>,
    /// What was predicted for each item; empty with several classes an item.
    pub predictions: Vec<Prediction>,
}

/// Scores logits.
///
/// # Errors
/// Logits that are not finite, with the first item's key; no items; a class that is not among the
/// logits.
pub fn score(scheme: &Scheme, items: &LogitItems) -> Result<Scored> {
    let wrong = |reason: String| Error::Task { set: scheme.set.clone(), reason };
    if items.rows.is_empty() {
        return Err(Error::Empty(scheme.set.clone()));
    }
    for (row, key) in items.rows.iter().zip(&items.keys) {
        if row.len() != scheme.classes {
            return Err(wrong(format!("{} logits of {key:?}, not {}", row.len(), scheme.classes)));
        }
        if row.iter().any(|logit| !logit.is_finite()) {
            let item = format!("item {key:?} of {}", scheme.set);
            return Err(clip_torch::Error::NotFinite { item }.into());
        }
    }
    if scheme.task == Task::MultiLabel {
        return Ok(several(scheme, items));
    }
    let labels: Vec<usize> = items.truths.iter().filter_map(Truth::class).collect();
    if labels.len() != items.rows.len() || labels.iter().any(|&label| label >= scheme.classes) {
        return Err(wrong(format!("an item without one of the {} classes", scheme.classes)));
    }
    let mut scored = Scored { predictions: predictions(items, &labels), ..Scored::default() };
    single(scheme, items, &labels, &mut scored)?;
    groups(scheme, &mut scored)?;
    main_metric(scheme, &mut scored);
    Ok(scored)
}

fn predictions(items: &LogitItems, labels: &[usize]) -> Vec<Prediction> {
    let group = |at: usize| items.groups.get(at).cloned().flatten();
    let rows = items.rows.iter().zip(&items.keys).zip(labels).enumerate();
    rows.map(|(at, ((row, key), &label))| {
        let best = best(row);
        Prediction {
            key: key.clone(),
            label: label as u32,
            prediction: best as u32,
            rank: rank_of(row, label) as u32,
            score: row[best] / 100.0,
            group: group(at),
        }
    })
    .collect()
}

/// Metrics over all items of one class each.
fn single(
    scheme: &Scheme,
    items: &LogitItems,
    labels: &[usize],
    scored: &mut Scored,
) -> Result<()> {
    let classes = scheme.classes;
    let all = Scores::of(&scored.predictions, classes, |_| true)?;
    let all = all.ok_or_else(|| Error::Empty(scheme.set.clone()))?;
    let (acc1, acc5) = (all.acc1.value, all.acc5.map(|a| a.value));
    let metrics = &mut scored.metrics;
    metrics.insert("acc1".into(), Some(acc1));
    metrics.insert("acc5".into(), acc5);
    metrics.insert("mean_per_class_recall".into(), Some(all.mean_per_class_recall));
    metrics.insert("mean_acc1_acc5".into(), acc5.map(|acc5| f64::midpoint(acc1, acc5)));
    let pairs: Vec<(usize, usize)> =
        scored.predictions.iter().map(|p| (p.label as usize, p.prediction as usize)).collect();
    metrics.insert("F1-macro_all".into(), Some(macro_f1(&pairs, classes)));
    if classes == 2 {
        // The difference of two logits has the order of the probability, which rounds to 1 where it
        // is large.
        let scores = items.rows.iter().map(|row| f64::from(row[1]) - f64::from(row[0]));
        let positive: Vec<bool> = labels.iter().map(|&label| label == 1).collect();
        metrics.insert("roc_auc".into(), roc_auc(&scores.collect::<Vec<_>>(), &positive));
    }
    scored.all = Some(all);
    Ok(())
}

/// The worst group, as WILDS and DataComp compute and name it.
fn groups(scheme: &Scheme, scored: &mut Scored) -> Result<()> {
    let with = scored.predictions.iter().filter(|p| p.group.is_some()).count();
    if with == 0 {
        return Ok(());
    }
    let task = find_datacomp(&scheme.set).filter(|task| task.groups.is_some());
    if task.is_some() && with < scored.predictions.len() {
        let reason = format!(
            "{} of {} items have no group (no metadata in .npy)",
            scored.predictions.len() - with,
            scored.predictions.len()
        );
        return Err(Error::Task { set: scheme.set.clone(), reason });
    }
    let within = |k: u32| {
        let pairs =
            scored.predictions.iter().filter_map(|p| Some((p.group.as_deref()?, p.rank < k)));
        by_group(pairs)
    };
    let top1 = within(1)?;
    let top5 = if scheme.classes >= 5 { Some(within(5)?) } else { None };
    // WILDS leaves out a region of that name; where groups have numbers, as in DataComp's shards,
    // none has it.
    let region = worst_group(&top1, |name| !name.contains("Other"));
    let metrics = &mut scored.metrics;
    match task.map(|task| task.metric.as_str()) {
        Some("acc_worst_region") => {
            metrics.insert("acc_worst_region".into(), region);
            let other = task.and_then(|task| task.groups.as_ref()?.other.map(|at| (task, at)));
            let other = other.and_then(|(task, at)| Some(task.groups.as_ref()?.name(at)));
            if let Some(other) = other.filter(|name| top1.contains_key(name)) {
                let named = worst_group(&top1, |name| name != other);
                metrics.insert("acc_worst_region_without_other".into(), named);
            }
        }
        Some("acc_top5_wg") => {
            let worst = top5.as_ref().and_then(|groups| worst_group(groups, |_| true));
            metrics.insert("acc_top5_wg".into(), worst);
        }
        Some(_) => {
            metrics.insert("acc_wg".into(), worst_group(&top1, |_| true));
        }
        None => {
            metrics.insert("acc_wg".into(), worst_group(&top1, |_| true));
            metrics.insert("acc_worst_region".into(), region);
            let worst = top5.as_ref().and_then(|groups| worst_group(groups, |_| true));
            metrics.insert("acc_top5_wg".into(), worst);
        }
    }
    let five = task.is_some_and(|task| group_metric(task) == "acc_top5");
    scored.groups = if five { top5 } else { Some(top1) };
    Ok(())
}

/// The accuracy that DataComp takes of each group: `acc`, or `acc_top5`.
pub fn group_metric(task: &DataCompTask) -> &'static str {
    if task.metric.starts_with("acc_top5") { "acc_top5" } else { "acc" }
}

/// Metrics of several classes an item.
fn several(scheme: &Scheme, items: &LogitItems) -> Scored {
    let marks: Vec<Vec<i8>> = items
        .truths
        .iter()
        .filter_map(
            |truth| if let Truth::Marks(marks) = truth { Some(marks.clone()) } else { None },
        )
        .collect();
    let logits: Vec<Vec<f64>> =
        items.rows.iter().map(|row| row.iter().copied().map(f64::from).collect()).collect();
    let scores = match scheme.score {
        Score::Logit => logits.clone(),
        Score::Softmax => items.rows.iter().map(|row| log_softmax(row)).collect(),
    };
    let (eleven, _) = mean_average_precision(&scores, &marks, eleven_points);
    let (full, by_class) = mean_average_precision(&scores, &marks, average_precision);
    // CLIP_benchmark's is of the logits, whatever was asked for, and counts a class without a
    // positive item as 0.
    let (_, theirs) = mean_average_precision(&logits, &marks, average_precision);
    let theirs =
        theirs.iter().map(|class| class.unwrap_or(0.0)).sum::<f64>() / theirs.len().max(1) as f64;
    let positives = marks.iter().flatten().filter(|mark| **mark == 1).count() as f64;
    let judged = marks.iter().flatten().filter(|mark| **mark != 0).count() as f64;
    let metrics =
        [("map_11_point", eleven), ("map_full", full), ("mean_average_precision", theirs)];
    Scored {
        main_metric: "map_11_point".into(),
        chance: Some(positives / judged.max(1.0)),
        metrics: metrics.map(|(name, value)| (name.to_owned(), Some(value))).into(),
        precision: Some(by_class),
        ..Scored::default()
    }
}

/// The metric that counts: DataComp's under its protocol and of sets that it alone has, else the
/// paper's; top-1 where that has no value.
fn main_metric(scheme: &Scheme, scored: &mut Scored) {
    let theirs = scheme.protocol == Protocol::DataComp || find(&scheme.set).is_none();
    let task = find_datacomp(&scheme.set).filter(|_| theirs);
    let name = task.map_or_else(|| scheme.metric.name(), |task| task.metric.as_str());
    let known = scored.metrics.get(name).is_some_and(Option::is_some);
    scored.main_metric = if known { name.to_owned() } else { "acc1".into() };
    let listed = task.filter(|_| known).and_then(|task| task.chance);
    scored.chance = Some(listed.unwrap_or_else(|| match scored.main_metric.as_str() {
        "acc_top5_wg" => (5.0 / scheme.classes as f64).min(1.0),
        counted if counted == scheme.metric.name() => scheme.metric.guess(scheme.classes),
        _ => Metric::Accuracy.guess(scheme.classes),
    }));
}

impl LogitItems {
    /// Frames of one video become one item: the mean of their probabilities (paper, table 15), as
    /// logarithms.
    pub fn by_video(self, videos: &[Option<String>]) -> Self {
        let mut place: BTreeMap<String, usize> = BTreeMap::new();
        let mut all = Self::default();
        let mut frames: Vec<f32> = Vec::new();
        let singles = self.keys.into_iter().zip(self.truths).zip(self.groups).zip(self.rows);
        for ((((key, truth), group), row), video) in singles.zip(videos) {
            let name = video.clone().unwrap_or(key);
            let at = *place.entry(name.clone()).or_insert_with(|| {
                all.keys.push(name);
                all.truths.push(truth);
                all.groups.push(group);
                all.rows.push(vec![0.0; row.len()]);
                frames.push(0.0);
                frames.len() - 1
            });
            frames[at] += 1.0;
            all.rows[at].iter_mut().zip(softmax(&row)).for_each(|(sum, p)| *sum += p);
        }
        for (row, count) in all.rows.iter_mut().zip(frames) {
            row.iter_mut().for_each(|p| *p = 100.0 * (*p / count).max(1e-30).ln());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(rows: &[&[f32]], labels: &[usize]) -> LogitItems {
        LogitItems {
            keys: (0..rows.len()).map(|n| format!("k{n}")).collect(),
            truths: labels.iter().map(|&label| Truth::Class(label)).collect(),
            groups: vec![None; rows.len()],
            rows: rows.iter().map(|row| row.to_vec()).collect(),
        }
    }

    fn scheme(set: &str, classes: usize) -> Scheme {
        Scheme {
            set: set.into(),
            task: Task::Classification,
            classes,
            metric: Metric::Accuracy,
            protocol: Protocol::DataComp,
            score: Score::Softmax,
        }
    }

    #[test]
    fn a_tie_goes_to_the_lower_class() {
        let items = items(&[&[0.5, 0.5, 0.1], &[0.2, 0.2, 0.9]], &[1, 2]);
        let found = score(&scheme("x", 3), &items).unwrap().predictions;
        assert_eq!((found[0].prediction, found[0].rank), (0, 1));
        assert_eq!((found[1].prediction, found[1].rank), (2, 0));
    }

    #[test]
    fn frames_of_a_video_vote_with_their_probabilities() {
        // One frame is sure of class 0, two lean to class 1: the mean probability is 0.49 to 0.51.
        let rows: [&[f32]; 3] = [&[10.0, 0.0], &[0.0, 1.05], &[0.0, 1.05]];
        let videos = vec![Some("v".to_owned()); 3];
        let mean = items(&rows, &[0, 0, 0]).by_video(&videos);
        assert_eq!((mean.keys.as_slice(), mean.rows.len()), (&["v".to_owned()][..], 1));
        let p = softmax(&[0.0, 1.05])[0];
        let expected = (softmax(&[10.0, 0.0])[0] + 2.0 * p) / 3.0;
        assert!(((mean.rows[0][0] / 100.0).exp() - expected).abs() < 1e-6);
    }

    #[test]
    fn logits_that_are_not_finite_have_no_score() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let message = score(&scheme("x", 2), &items(&[&[0.1, 0.2], &[bad, 0.0]], &[0, 1]));
            let message = message.unwrap_err().to_string();
            assert!(message.contains("\"k1\"") && message.contains("not finite"), "{message}");
        }
        let several = Scheme { task: Task::MultiLabel, ..scheme("x", 2) };
        let mut marked = items(&[&[f32::NAN, 0.2]], &[0]);
        marked.truths = vec![Truth::Marks(vec![1, -1])];
        assert!(score(&several, &marked).unwrap_err().to_string().contains("not finite"));
        assert!(score(&scheme("x", 2), &items(&[], &[])).is_err());
        assert!(score(&scheme("x", 2), &items(&[&[0.1, 0.2]], &[2])).is_err());
    }

    #[test]
    fn a_set_that_scores_by_group_wants_the_group_of_each_item() {
        let mut items = items(&[&[0.9, 0.1], &[0.2, 0.8], &[0.9, 0.2]], &[0, 1, 1]);
        let name = |group: &str| Some(group.to_owned());
        items.groups = vec![name("region:0"), name("region:0"), None];
        let message = score(&scheme("geode", 2), &items).unwrap_err().to_string();
        assert!(message.contains("1 of 3 items have no group"), "{message}");
        items.groups[2] = name("region:5");
        let found = score(&scheme("geode", 2), &items).unwrap();
        assert_eq!((found.main_metric.as_str(), found.metrics["acc_wg"]), ("acc_wg", Some(0.0)));
        // WILDS's "Other" has the number 5 in DataComp's shards of FMoW, and counts there.
        let found = score(&scheme("fmow", 2), &items).unwrap();
        assert_eq!(found.metrics["acc_worst_region"], Some(0.0));
        assert_eq!(found.metrics["acc_worst_region_without_other"], Some(1.0));
        items.groups[2] = name("Other");
        let found = score(&scheme("fmow", 2), &items).unwrap();
        assert_eq!(found.metrics["acc_worst_region"], Some(1.0));
        items.groups = vec![None; 3];
        assert_eq!(score(&scheme("geode", 2), &items).unwrap().main_metric, "acc1");
    }
}
