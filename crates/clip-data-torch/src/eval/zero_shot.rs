//! `clip-data eval zero-shot`.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;

use anyhow::bail;
use clip_cli::torch::ZeroShotArgs;
use clip_datasets::{ClassMatch, ClassSubset, EvalSet, ItemHashes, Split, Task, find_datacomp};
use clip_eval::{
    Accuracy, DataCompLine, Hashes, Metrics, ResultFile, Sample, Score, Scores, ZeroShot,
    ZeroShotOptions, group_metric, write_predictions, zero_shot,
};
use clip_report::UNAUDITED;
use clip_torch::write_npy;
use serde::Serialize;
use serde_json::{Value, json};

use super::audit::Audit;
use super::inputs::{
    Model, apply_prompts, name_rule, open_set, other_size, progress, store_scores,
};
use super::{page, table};

/// Runs the evaluation.
pub fn run(args: ZeroShotArgs) -> anyhow::Result<ExitCode> {
    let mut set = open_set(&args.set, Split::Test)?;
    apply_prompts(&args.prompts, &mut set)?;
    if args.files.datacomp_output.is_some() && set.subset.is_some() {
        bail!(
            "--datacomp-output: its lines are of whole sets\nhint: --out records which classes are kept"
        );
    }
    if args.score.is_some() && set.task != Task::MultiLabel {
        bail!("--score: no effect on {}, which has one class an item", set.name);
    }
    let audit = args.contamination.as_deref().map(Audit::open).transpose()?;
    let audited = audit.as_ref().map(|audit| audit.items(&set.name)).transpose()?;
    let model = Model::open(&args.model)?;
    if let Some(text) = audit.as_ref().and_then(|audit| audit.warning(&model.path)) {
        eprintln!("{text}");
    }
    let options = ZeroShotOptions {
        names: name_rule(&args.prompts),
        score: if args.score.as_deref() == Some("logit") { Score::Logit } else { Score::Softmax },
        skip_unreadable: args.set.skip_unreadable,
        limit: args.set.limit,
        batch_size: Some(args.batch.batch_size),
        cache: args.prompts.cache(),
        model_hash: model.hash.clone(),
        audited,
    };
    let shown = progress(&set.name, args.set.count(set.len()));
    let result = zero_shot(&model.clip, &model.tokenizer, &set, &options, &shown);
    let result = model.blame(result)?;
    if let Some(text) =
        other_size(&set, result.sample.items_total).filter(|_| args.set.limit.is_none())
    {
        eprintln!("{text}");
    }
    print!("{}", table::zero_shot(&result));
    print!("{}", prompts(&set));
    match &set.subset {
        Some(kept) => {
            println!("{} of its {} classes are kept: {}", kept.classes, kept.of, kept.name);
        }
        None => print!("{}", beside_paper(&set, &result)),
    }
    if let Some(path) = &args.predictions {
        write_predictions(path, &result.predictions, about(&result, &model))?;
        println!("predictions: {}", path.display());
    }
    if let Some(path) = &args.logits {
        write_npy(path, &result.logits)?;
        println!("logits: {}", path.display());
    }
    store_scores(
        &args.files,
        || file(&result, &set, &model, audit.as_ref()),
        || datacomp(&result),
    )?;
    if let Some(path) = &args.html {
        page::zero_shot(path, &set, &result, &model)?;
        println!("page: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The first of a class's prompts, and how many more there are.
fn prompts(set: &EvalSet) -> String {
    let all = set.all_prompts().of(0).concat();
    let Some((first, more)) = all.split_first() else { return String::new() };
    let more = if more.is_empty() { String::new() } else { format!(", and {} more", more.len()) };
    format!("prompts of {}: {first:?}{more}\n", set.classes[0])
}

/// The paper's figures of this dataset, for its nine models.
fn beside_paper(set: &EvalSet, result: &ZeroShot) -> String {
    let Some(dataset) = set.dataset.filter(|d| d.zero_shot.iter().any(Option::is_some)) else {
        return String::new();
    };
    let models = clip_datasets::models().iter();
    let figures: Vec<String> = models
        .filter_map(|model| {
            let (value, verified) = dataset.published(model)?;
            Some(format!("{model} {value:.1}{}", if verified { "" } else { "*" }))
        })
        .collect();
    let starred = figures.iter().any(|figure| figure.ends_with('*'));
    let note = if starred { " (* as recalled, not verified)" } else { "" };
    let metric = dataset.metric.name();
    let own =
        if result.protocol == "openai" { "" } else { "; these scores follow another protocol" };
    format!("the paper's {metric} (openai protocol{own}): {}{note}\n", figures.join(", "))
}

/// What is beside predictions: what was asked, of what, by what.
pub fn about(result: &ZeroShot, model: &Model) -> HashMap<String, String> {
    let pairs = [
        ("dataset", result.dataset.clone()),
        ("protocol", result.protocol.to_owned()),
        ("model", model.name()),
        ("model_hash", model.hash.clone()),
        ("preprocess", model.preprocess().to_string()),
        ("data_hash", result.data_hash.clone()),
        (ItemHashes::KEY, result.item_hashes.to_text()),
        ("prompts_hash", result.prompts_hash.clone()),
        ("classes", json!(result.class_names).to_string()),
        ("limit", json!(result.sample.limit).to_string()),
        ("items_total", result.sample.items_total.to_string()),
    ];
    pairs.into_iter().map(|(key, value)| (format!("clip_data.{key}"), value)).collect()
}

/// The fields of a zero-shot result beside CLIP_benchmark's.
#[derive(Serialize)]
pub struct Fields<'a> {
    protocol: &'static str,
    class_match: ClassMatch,
    main_metric: &'a str,
    classes: usize,
    items: u64,
    chance: Option<f64>,
    all: Option<&'a Scores>,
    clean: Option<&'a Scores>,
    overlap: Option<&'a Scores>,
    groups: Option<&'a BTreeMap<String, Accuracy>>,
    precision_by_class: Option<&'a Metrics>,
    unreadable: &'a [(String, String)],
    contamination: String,
    /// Whether that report is of the shards that the model was trained on; none where not known.
    contamination_covers_training: Option<bool>,
    preprocess: Value,
    #[serde(flatten)]
    sample: Sample,
    class_subset: Option<&'a ClassSubset>,
}

/// The result file; `audit` is the contamination report that split the scores.
pub fn file<'a>(
    result: &'a ZeroShot,
    set: &'a EvalSet,
    model: &Model,
    audit: Option<&Audit>,
) -> ResultFile<Fields<'a>> {
    let hashes = Hashes {
        model: model.hash.clone(),
        config: model.config_hash(),
        data: result.data_hash.clone(),
        prompts: result.prompts_hash.clone(),
    };
    let fields = Fields {
        protocol: result.protocol,
        class_match: result.class_match,
        main_metric: &result.main_metric,
        classes: result.classes,
        items: result.items,
        chance: result.chance,
        all: result.all.as_ref(),
        clean: result.clean.as_ref(),
        overlap: result.overlap.as_ref(),
        groups: result.groups.as_ref(),
        precision_by_class: result.precision_by_class.as_ref(),
        unreadable: &result.unreadable,
        // A score says by which report it was split; what has none is unaudited.
        contamination: audit.map_or(UNAUDITED, Audit::id).to_owned(),
        contamination_covers_training: audit.and_then(|audit| audit.covers(&model.path)),
        preprocess: model.preprocess(),
        sample: result.sample,
        class_subset: set.subset.as_ref(),
    };
    let task = "zeroshot_classification";
    ResultFile::new(&result.dataset, model.name(), task, result.metrics.clone(), hashes, fields)
}

/// DataComp's line.
pub fn datacomp(result: &ZeroShot) -> DataCompLine {
    let task = find_datacomp(&result.dataset);
    let mut theirs = vec!["acc1", "acc5", "mean_per_class_recall"];
    let mut metrics = Metrics::new();
    if let Some(task) = task {
        theirs.push(&task.metric);
        if task.key == "wilds/iwildcam" {
            metrics.insert("recall-macro_all".into(), result.metrics["mean_per_class_recall"]);
        }
        if let Some(groups) = result.groups.as_ref().filter(|_| task.groups.is_some()) {
            metrics.extend(by_group(group_metric(task), groups, result));
        }
    }
    let named = result.metrics.iter().filter(|(name, _)| theirs.contains(&name.as_str()));
    metrics.extend(named.map(|(name, value)| (name.clone(), *value)));
    let main = task.map_or(result.main_metric.as_str(), |task| task.metric.as_str());
    let main = result.metrics.get(main).copied().flatten();
    DataCompLine::new(&result.dataset, metrics, main)
}

/// WILDS's names and values of groups: `acc_avg`, `acc_region:3` and `count_region:3`.
fn by_group(metric: &str, groups: &BTreeMap<String, Accuracy>, result: &ZeroShot) -> Metrics {
    let mean = if metric == "acc" { "acc1" } else { "acc5" };
    let average = result.metrics.get(mean).copied().flatten();
    let mut metrics = Metrics::from([(format!("{metric}_avg"), average)]);
    for (group, accuracy) in groups {
        metrics.insert(format!("{metric}_{group}"), Some(accuracy.value));
        metrics.insert(format!("count_{group}"), Some(accuracy.n as f64));
    }
    let ours = ["acc_wg", "acc_worst_region", "acc_top5_wg"];
    metrics
        .extend(ours.iter().filter_map(|name| {
            result.metrics.get(*name).map(|value| ((*name).to_owned(), *value))
        }));
    metrics
}
