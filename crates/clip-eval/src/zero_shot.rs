//! Zero-shot classification, on all items and on those that the corpus did not hold.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use clip_datasets::{ClassMatch, EvalSet, ItemHashes, Task, find_datacomp};
use clip_model::Clip;
use clip_text::Tokenizer;
use clip_torch::tch::{Kind, Tensor};
use serde::Serialize;

use crate::metrics::{Accuracy, Scores};
use crate::{
    Classifier, Error, FeatureOptions, Features, LogitItems, Names, Prediction, Result, Sample,
    Scheme, Score, Space, image_features, score,
};

/// How to evaluate.
#[derive(Debug, Clone, Default)]
pub struct ZeroShotOptions {
    /// What stands for a class of several names.
    pub names: Names,
    /// What average precision ranks by.
    pub score: Score,
    /// Whether unreadable images are counted and skipped.
    pub skip_unreadable: bool,
    /// Most items, evenly over the set, for a quick look.
    pub limit: Option<usize>,
    /// Images that are embedded at a time; [`FeatureOptions`]'s default where none is given.
    pub batch_size: Option<usize>,
    /// Where text classifiers are kept.
    pub cache: Option<PathBuf>,
    /// Hash of the model's weights.
    pub model_hash: String,
    /// What the corpus has of the set, where that was checked.
    pub audited: Option<AuditedItems>,
}

/// What a contamination report says of a set.
#[derive(Debug, Clone, Default)]
pub struct AuditedItems {
    /// Keys of the items that the corpus has too.
    pub overlap: HashSet<String>,
    /// The items that were looked for; empty where the report does not say it.
    pub known: ItemHashes,
    /// Items that could not be looked for.
    pub unreadable: u64,
}

impl AuditedItems {
    /// Refuses items that were not looked for: they would count as clean.
    ///
    /// # Errors
    /// With the first of them.
    pub fn check<'a>(
        &self,
        set: &str,
        items: impl Iterator<Item = (&'a str, [u8; 32])>,
    ) -> Result<()> {
        if self.known.is_empty() {
            return Ok(());
        }
        let others: Vec<&str> = items
            .filter(|(key, image)| !self.known.contains(key, (*image).into()))
            .map(|(key, _)| key)
            .collect();
        if others.len() as u64 <= self.unreadable {
            return Ok(());
        }
        Err(Error::NotAudited {
            set: set.to_owned(),
            count: others.len(),
            key: others.first().copied().unwrap_or_default().to_owned(),
        })
    }
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
    /// Items that could not be decoded and were skipped: key and reason.
    pub unreadable: Vec<(String, String)>,
    /// How many of the set's items were taken.
    #[serde(flatten)]
    pub sample: Sample,
    /// Hash of the items.
    pub data_hash: String,
    /// The items that were scored, each by its key and content.
    #[serde(skip)]
    pub item_hashes: ItemHashes,
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

/// Evaluates. `progress` gets the number of items that are done.
///
/// # Errors
/// A set of captions, or one that DataComp scores by several questions; output of the model that is
/// not finite, with the first item or prompt; an image that cannot be decoded.
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
    // FairFace and UTKFace: classes of race, gender, age and toxicity in one list.
    let faces = ["fairness/fairface", "fairness/utkface"];
    if find_datacomp(&set.name).is_some_and(|task| faces.contains(&task.key.as_str()))
        && set.classes.iter().all(|class| class.contains(':'))
    {
        let reason = "its classes answer four questions, and no one score is DataComp's".to_owned();
        return Err(Error::Task { set: set.name.clone(), reason });
    }
    let cache = options.cache.as_deref();
    let classifier =
        Classifier::cached(cache, &options.model_hash, model, tokenizer, set, options.names)?;
    let wanted = FeatureOptions {
        space: Space::Joint,
        skip_unreadable: options.skip_unreadable,
        limit: options.limit,
        batch_size: options.batch_size.unwrap_or(FeatureOptions::default().batch_size),
    };
    let features = image_features(model, set, wanted, progress)?;
    // Of the frames of a video one was looked for.
    if let Some(audited) = &options.audited
        && features.videos.iter().all(Option::is_none)
    {
        let keys = features.keys.iter().map(String::as_str);
        audited.check(&set.name, keys.zip(features.contents.iter().copied()))?;
    }
    let logits = classifier.logits(&features.tensor);
    result(set, options, features, logits)
}

fn result(
    set: &EvalSet,
    options: &ZeroShotOptions,
    features: Features,
    logits: Tensor,
) -> Result<ZeroShot> {
    let classes = set.classes.len();
    let flat: Vec<f32> = Vec::try_from(logits.to_kind(Kind::Float).contiguous().view([-1]))?;
    let rows: Vec<Vec<f32>> = flat.chunks_exact(classes).map(<[f32]>::to_vec).collect();
    let keys = features.keys.clone();
    let images = features.contents.iter().map(|&image| image.into());
    let item_hashes = ItemHashes::new(keys.iter().map(String::as_str).zip(images));
    let items =
        LogitItems { keys: features.keys, truths: features.truths, groups: features.groups, rows };
    let videos = features.videos.iter().any(Option::is_some);
    let items = if videos { items.by_video(&features.videos) } else { items };
    let scheme = Scheme {
        set: set.name.clone(),
        task: set.task,
        classes,
        metric: set.metric(),
        protocol: set.protocol,
        score: options.score,
    };
    let scored = score(&scheme, &items)?;
    let split = |inside: bool| match &options.audited {
        Some(AuditedItems { overlap, .. }) => {
            Scores::of(&scored.predictions, classes, |p| overlap.contains(&p.key) == inside)
        }
        None => Ok(None),
    };
    let (clean, overlap) = (split(false)?, split(true)?);
    let by_class = scored.precision.map(|by_class| set.classes.iter().cloned().zip(by_class));
    Ok(ZeroShot {
        dataset: set.name.clone(),
        protocol: set.protocol.name(),
        class_match: set.class_match,
        classes,
        items: items.rows.len() as u64,
        chance: scored.chance,
        main_metric: scored.main_metric,
        metrics: scored.metrics,
        all: scored.all,
        clean,
        overlap,
        groups: scored.groups,
        precision_by_class: by_class.map(Iterator::collect),
        unreadable: features.unreadable,
        sample: features.sample,
        data_hash: features.data_hash,
        item_hashes,
        prompts_hash: set.all_prompts().hash(),
        predictions: scored.predictions,
        class_names: set.classes.clone(),
        logits,
        keys,
    })
}
