//! Zero-shot classification, on all items and on those that the corpus did not hold.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use clip_datasets::{ClassMatch, EvalSet, Metric, Task, Truth, find_datacomp};
use clip_model::Clip;
use clip_text::Tokenizer;
use clip_torch::tch::{Kind, Tensor};
use serde::Serialize;

use crate::metrics::{
    Accuracy, Scores, average_precision, best, eleven_points, macro_f1, mean_average_precision,
    rank_of, roc_auc, softmax, worst_group,
};
use crate::{
    Classifier, Error, FeatureOptions, Features, Names, Prediction, Result, Space, image_features,
};

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

/// How to evaluate.
#[derive(Debug, Clone, Default)]
pub struct ZeroShotOptions {
    /// What stands for a class of several names.
    pub names: Names,
    /// What average precision ranks by.
    pub score: Score,
    /// Whether unreadable images are counted and passed over.
    pub skip_unreadable: bool,
    /// Most items, for a quick look.
    pub limit: Option<usize>,
    /// Where text classifiers are kept.
    pub cache: Option<PathBuf>,
    /// Hash of the model's weights.
    pub model_hash: String,
    /// Keys of items that the corpus has too, where that was checked.
    pub overlap: Option<HashSet<String>>,
}

/// The result of a zero-shot evaluation.
#[derive(Debug, Serialize)]
pub struct ZeroShot {
    /// Name of the evaluation set.
    pub dataset: String,
    /// Whose prompts and class order.
    pub protocol: &'static str,
    /// How the set's labels found their classes.
    pub class_match: ClassMatch,
    /// Number of classes.
    pub classes: usize,
    /// Items that were scored; a video counts once.
    pub items: u64,
    /// The main metric of a guess, where it is known.
    pub chance: Option<f64>,
    /// Name of the metric that counts for this set.
    pub main_metric: String,
    /// Every metric by its name in result files; none where there is none.
    pub metrics: BTreeMap<String, Option<f64>>,
    /// Over all items; none with several classes an item.
    pub all: Option<Scores>,
    /// Over items that the corpus does not hold, where that was checked.
    pub clean: Option<Scores>,
    /// Over items that the corpus holds, where that was checked and there are any.
    pub overlap: Option<Scores>,
    /// Accuracy by group, where there are groups.
    pub groups: Option<BTreeMap<String, Accuracy>>,
    /// Average precision by class, with several classes an item.
    pub precision_by_class: Option<BTreeMap<String, Option<f64>>>,
    /// Items that could not be decoded and were passed over: key and reason.
    pub unreadable: Vec<(String, String)>,
    /// Hash of the items.
    pub data_hash: String,
    /// Hash of the prompts.
    pub prompts_hash: String,
    /// What was predicted for each item.
    #[serde(skip)]
    pub predictions: Vec<Prediction>,
    /// Names of the classes.
    #[serde(skip)]
    pub class_names: Vec<String>,
    /// Logits [items, classes].
    #[serde(skip)]
    pub logits: Tensor,
    /// Keys of the items.
    #[serde(skip)]
    pub keys: Vec<String>,
}

/// Evaluates. `progress` is told how many items are done.
pub fn zero_shot(
    model: &Clip,
    tokenizer: &Tokenizer,
    set: &EvalSet,
    options: &ZeroShotOptions,
    progress: &dyn Fn(usize),
) -> Result<ZeroShot> {
    if set.task == Task::Retrieval {
        let reason = "a set of captions\nhint: clip-data eval retrieval".to_owned();
        return Err(Error::Task { set: set.name.clone(), reason });
    }
    let cache = options.cache.as_deref();
    let classifier =
        Classifier::cached(cache, &options.model_hash, model, tokenizer, set, options.names)?;
    let wanted = FeatureOptions {
        space: Space::Joint,
        skip_unreadable: options.skip_unreadable,
        limit: options.limit,
    };
    let features = image_features(model, set, wanted, progress)?;
    let logits = classifier.logits(&features.tensor);
    score(set, options, features, logits)
}

fn score(
    set: &EvalSet,
    options: &ZeroShotOptions,
    features: Features,
    logits: Tensor,
) -> Result<ZeroShot> {
    let classes = set.classes.len();
    let flat: Vec<f32> = Vec::try_from(logits.to_kind(Kind::Float).contiguous().view([-1]))?;
    let rows: Vec<Vec<f32>> = flat.chunks_exact(classes).map(<[f32]>::to_vec).collect();
    let mut result = ZeroShot {
        dataset: set.name.clone(),
        protocol: set.protocol.name(),
        class_match: set.class_match,
        classes,
        items: rows.len() as u64,
        chance: Some(1.0 / classes as f64),
        main_metric: String::new(),
        metrics: BTreeMap::new(),
        all: None,
        clean: None,
        overlap: None,
        groups: None,
        precision_by_class: None,
        unreadable: features.unreadable,
        data_hash: features.data_hash,
        prompts_hash: set.all_prompts().hash(),
        predictions: Vec::new(),
        class_names: set.classes.clone(),
        logits,
        keys: features.keys.clone(),
    };
    if set.task == Task::MultiLabel {
        precision(&mut result, options.score, &rows, &features.truths);
        return Ok(result);
    }
    let labels: Vec<usize> = features.truths.iter().filter_map(Truth::class).collect();
    let single = Items { keys: features.keys, labels, groups: features.groups, rows };
    let items = if features.videos.iter().any(Option::is_some) {
        single.by_video(&features.videos)
    } else {
        single
    };
    result.items = items.rows.len() as u64;
    result.predictions = items.predictions();
    let overlap = options.overlap.as_ref();
    let split = |inside: bool| match overlap {
        Some(overlap) => {
            Scores::of(&result.predictions, classes, |p| overlap.contains(&p.key) == inside)
        }
        None => Ok(None),
    };
    (result.clean, result.overlap) = (split(false)?, split(true)?);
    let all = Scores::of(&result.predictions, classes, |_| true)?;
    let all = all.ok_or_else(|| Error::Empty(set.name.clone()))?;
    let (acc1, acc5) = (all.acc1.value, all.acc5.map(|a| a.value));
    let metrics = &mut result.metrics;
    metrics.insert("acc1".into(), Some(acc1));
    metrics.insert("acc5".into(), acc5);
    metrics.insert("mean_per_class_recall".into(), Some(all.mean_per_class_recall));
    metrics.insert("mean_acc1_acc5".into(), acc5.map(|acc5| f64::midpoint(acc1, acc5)));
    let pairs: Vec<(usize, usize)> =
        result.predictions.iter().map(|p| (p.label as usize, p.prediction as usize)).collect();
    metrics.insert("F1-macro_all".into(), Some(macro_f1(&pairs, classes)));
    if classes == 2 {
        let scores: Vec<f32> = items.rows.iter().map(|row| softmax(row)[1]).collect();
        let positive: Vec<bool> = items.labels.iter().map(|&label| label == 1).collect();
        metrics.insert("roc_auc".into(), roc_auc(&scores, &positive));
    }
    groups(&mut result)?;
    result.all = Some(all);
    main_metric(&mut result, set);
    Ok(result)
}

/// Worst groups, as DataComp names them.
fn groups(result: &mut ZeroShot) -> Result<()> {
    let of = |within: u32| {
        let grouped =
            result.predictions.iter().filter_map(|p| Some((p.group.as_deref()?, p.rank < within)));
        worst_group(grouped, &["Other"])
    };
    if let Some((groups, worst)) = of(1)? {
        let value = Some(groups[&worst].value);
        result.metrics.insert("acc_wg".into(), value);
        result.metrics.insert("acc_worst_region".into(), value);
        if let Some((top5, worst)) = of(5)? {
            result.metrics.insert("acc_top5_wg".into(), Some(top5[&worst].value));
        }
        result.groups = Some(groups);
    }
    Ok(())
}

fn precision(result: &mut ZeroShot, score: Score, rows: &[Vec<f32>], truths: &[Truth]) {
    let marks: Vec<Vec<i8>> = truths
        .iter()
        .filter_map(
            |truth| if let Truth::Marks(marks) = truth { Some(marks.clone()) } else { None },
        )
        .collect();
    let scores: Vec<Vec<f32>> = match score {
        Score::Logit => rows.to_vec(),
        Score::Softmax => rows.iter().map(|row| softmax(row)).collect(),
    };
    let (eleven, _) = mean_average_precision(&scores, &marks, eleven_points);
    let (full, by_class) = mean_average_precision(&scores, &marks, average_precision);
    // CLIP_benchmark's, of the logits, whatever was asked for.
    let (theirs, _) = mean_average_precision(rows, &marks, average_precision);
    result.metrics.insert("map_11_point".into(), Some(eleven));
    result.metrics.insert("map_full".into(), Some(full));
    result.metrics.insert("mean_average_precision".into(), Some(theirs));
    result.precision_by_class = Some(result.class_names.iter().cloned().zip(by_class).collect());
    let positives = marks.iter().flatten().filter(|mark| **mark == 1).count() as f64;
    let judged = marks.iter().flatten().filter(|mark| **mark != 0).count() as f64;
    result.chance = Some(positives / judged.max(1.0));
    result.main_metric = "map_11_point".into();
}

/// The metric that counts: DataComp's under its protocol, else the paper's.
fn main_metric(result: &mut ZeroShot, set: &EvalSet) {
    let task = find_datacomp(&set.name).filter(|_| result.protocol == "datacomp");
    let name = match task {
        Some(task) => task.metric.clone(),
        None => set.metric().name().to_owned(),
    };
    let known = result.metrics.get(&name).is_some_and(Option::is_some);
    result.main_metric = if known { name } else { "acc1".into() };
    let guess = 1.0 / result.classes as f64;
    result.chance = match (task.and_then(|task| task.chance), set.metric()) {
        (Some(chance), _) => Some(chance),
        (None, Metric::RocAuc) if result.main_metric == "roc_auc" => Some(0.5),
        (None, Metric::MeanTop1Top5) => Some(f64::midpoint(guess, (5.0 * guess).min(1.0))),
        _ => Some(guess),
    };
}

struct Items {
    keys: Vec<String>,
    labels: Vec<usize>,
    groups: Vec<Option<String>>,
    rows: Vec<Vec<f32>>,
}

impl Items {
    /// Frames of one video become one item: the mean of their probabilities (paper, table 15), as logarithms.
    fn by_video(self, videos: &[Option<String>]) -> Self {
        let mut place: BTreeMap<String, usize> = BTreeMap::new();
        let mut all =
            Self { keys: Vec::new(), labels: Vec::new(), groups: Vec::new(), rows: Vec::new() };
        let mut frames: Vec<f32> = Vec::new();
        let singles = self.keys.into_iter().zip(self.labels).zip(self.groups).zip(self.rows);
        for ((((key, label), group), row), video) in singles.zip(videos) {
            let name = video.clone().unwrap_or(key);
            let at = *place.entry(name.clone()).or_insert_with(|| {
                all.keys.push(name);
                all.labels.push(label);
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

    fn predictions(&self) -> Vec<Prediction> {
        let rows = self.rows.iter().zip(&self.keys).zip(&self.labels).zip(&self.groups);
        rows.map(|(((row, key), &label), group)| {
            let best = best(row);
            Prediction {
                key: key.clone(),
                label: label as u32,
                prediction: best as u32,
                rank: rank_of(row, label) as u32,
                score: row[best] / 100.0,
                group: group.clone(),
            }
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(rows: &[&[f32]], labels: &[usize]) -> Items {
        Items {
            keys: (0..rows.len()).map(|n| n.to_string()).collect(),
            labels: labels.to_vec(),
            groups: vec![None; rows.len()],
            rows: rows.iter().map(|row| row.to_vec()).collect(),
        }
    }

    #[test]
    fn a_tie_goes_to_the_lower_class() {
        let found = items(&[&[0.5, 0.5, 0.1], &[0.2, 0.2, 0.9]], &[1, 2]).predictions();
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
}
