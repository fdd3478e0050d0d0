//! `clip-data eval linear-probe` and `few-shot`.

mod about;
mod extract;
mod few_shot;
mod files;
mod source;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::bail;
use clip_cli::torch::{FitArgs, LinearProbeArgs};
use clip_datasets::{ClassSubset, Metric};
use clip_eval::{
    Dropped, Hashes, Metrics, Options, ProbeScore, ResultFile, Summary, linear_probe, summary,
};
use serde::Serialize;
use serde_json::Value;

use super::inputs::write_json;
use super::table::cell;
use about::About;

pub use few_shot::run_few_shot;

fn fit_options(fit: &FitArgs) -> Options {
    Options { tolerance: fit.tolerance, iterations: fit.max_iter }
}

/// The probe of one fold.
#[derive(Serialize)]
struct FoldScore {
    /// From 1.
    fold: usize,
    dropped: Dropped,
    #[serde(flatten)]
    score: ProbeScore,
}

/// Runs the probe.
pub fn run(args: LinearProbeArgs) -> anyhow::Result<ExitCode> {
    if let Some(lambda) = args.lambda {
        if !(lambda.is_finite() && lambda > 0.0) {
            bail!("--lambda {lambda}: a strength is a number above 0");
        }
        if args.source.seed.is_some() {
            bail!("--seed draws the part that the strength is chosen on: no effect with --lambda");
        }
    }
    let mut probed = source::open(&args.source, false)?;
    if let Some(kept) = &probed.about.subset {
        println!("{} of its {} classes are kept: {}", kept.classes, kept.of, kept.name);
    }
    let mut scores = Vec::new();
    for fold in source::folds(&args.source, &probed)? {
        let (parts, dropped) = probed.parts(&args.source, fold, args.lambda.is_none())?;
        let number = if probed.about.folds > 1 {
            format!(" fold {} of {}", fold + 1, probed.about.folds)
        } else {
            String::new()
        };
        println!(
            "{}{number}: {} to fit on, {} to choose on, {} to score; {} features, {} classes",
            probed.about.name,
            parts.train.len(),
            parts.val.len(),
            parts.test.len(),
            parts.train.features.size()[1],
            parts.classes
        );
        let on_trial = |trial: &clip_eval::Trial| {
            note!(
                "lambda {:<12.6} {} {:.4}, objective {:.4}, {} iterations{}",
                trial.lambda,
                parts.metric.name(),
                trial.value,
                trial.objective,
                trial.iterations,
                if trial.converged { "" } else { " (not converged)" }
            );
        };
        let score = linear_probe(&parts, args.lambda, fit_options(&args.fit), on_trial)?;
        print!("{}", one(&score, args.lambda.is_some(), &probed.about));
        scores.push(FoldScore { fold: fold + 1, dropped, score });
    }
    if scores.len() > 1 {
        for (name, value) in summaries(&scores) {
            println!(
                "{name} {:.2}% ± {:.2} (mean and standard deviation over {} folds)",
                100.0 * value.mean,
                100.0 * value.std.unwrap_or(0.0),
                scores.len()
            );
        }
    }
    let main = probed.about.metric.name();
    let value = summary(scores.iter().map(|fold| fold.score.scores.value(probed.about.metric)));
    if let Some(value) = value {
        println!("{main}, the metric of this set, {:.2}%", 100.0 * value.mean);
    }
    print!("{}", probed.about.note());
    if let Some(path) = &args.out {
        write_json(path, &file(&probed.about, &scores))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The scores of one fold as text.
fn one(score: &ProbeScore, given: bool, about: &About) -> String {
    let how = if given {
        "given".to_owned()
    } else {
        format!("of {} that were tried, 97-point grid", score.trials.len())
    };
    let mut text = format!(
        "lambda {:.6} ({how}; C = {:.6}): objective {:.6}, {} iterations{}{}\n",
        score.lambda,
        1.0 / score.lambda,
        score.objective,
        score.iterations,
        if score.lambda < 1.0 { " from the weights of a stronger one" } else { "" },
        if score.converged { "" } else { " (not converged)" }
    );
    let found = &score.scores;
    if found.acc1.is_some() {
        text.push_str(&format!("top-1 {}\n", cell(found.acc1).trim_start()));
        text.push_str(&format!("top-5 {}\n", cell(found.acc5).trim_start()));
    }
    for metric in Metric::ALL.into_iter().filter(|metric| *metric != Metric::Accuracy) {
        if let Some(value) = found.value(metric) {
            text.push_str(&format!("{} {:.2}%\n", metric.name(), 100.0 * value));
        }
    }
    if !score.unfitted_classes.is_empty() {
        let names: Vec<String> =
            score.unfitted_classes.iter().map(|class| about.class_name(*class)).collect();
        text.push_str(&format!(
            "{} classes have no positive or no negative item to fit on and score 0: {}\n",
            names.len(),
            names.join(", ")
        ));
    }
    text
}

/// Mean and spread by the names of result files, without their prefix.
fn summaries(scores: &[FoldScore]) -> BTreeMap<&'static str, Summary> {
    let mut found = BTreeMap::new();
    for metric in Metric::ALL {
        found.extend(
            summary(scores.iter().map(|fold| fold.score.scores.value(metric)))
                .map(|value| (metric.name(), value)),
        );
    }
    let acc5 = summary(scores.iter().map(|fold| fold.score.scores.acc5.map(|a| a.value)));
    found.extend(acc5.map(|value| ("acc5", value)));
    found
}

/// The fields of a probe's result beside CLIP_benchmark's.
#[derive(Serialize)]
struct Fields<'a> {
    main_metric: &'static str,
    space: &'a str,
    preprocess: Option<&'a Value>,
    classes: usize,
    class_subset: Option<&'a ClassSubset>,
    /// The set of the train part, where it is another than the one that is scored.
    fitted_on: Option<&'a str>,
    classes_without_test_items: &'a [String],
    limit: Option<usize>,
    items_total: Option<u64>,
    items: Option<usize>,
    folds: usize,
    std: Metrics,
    fold_scores: &'a [FoldScore],
}

/// The result file.
fn file<'a>(about: &'a About, scores: &'a [FoldScore]) -> ResultFile<Fields<'a>> {
    let summaries = summaries(scores);
    let named = |value: fn(&Summary) -> Option<f64>| {
        summaries.iter().map(move |(name, all)| (format!("lp_{name}"), value(all)))
    };
    let mut metrics: Metrics = named(|all| Some(all.mean)).collect();
    for name in ["lp_acc1", "lp_acc5", "lp_mean_per_class_recall"] {
        metrics.entry(name.to_owned()).or_default();
    }
    let main_metric = about.metric.name();
    metrics.insert("lp_main_metric".into(), summaries.get(main_metric).map(|value| value.mean));
    let hashes = Hashes {
        model: about.model_hash.clone(),
        config: about.config_hash.clone(),
        data: about.data_hash(),
        prompts: String::new(),
    };
    let fields = Fields {
        main_metric,
        space: &about.space,
        preprocess: about.preprocess.as_ref(),
        classes: about.classes,
        class_subset: about.subset.as_ref(),
        fitted_on: about.fitted_on.as_deref(),
        classes_without_test_items: &about.untested,
        limit: about.sample.and_then(|s| s.limit),
        items_total: about.sample.map(|s| s.items_total),
        items: scores.first().map(|fold| fold.score.scores.n),
        folds: scores.len(),
        std: named(|all| all.std).collect(),
        fold_scores: scores,
    };
    ResultFile::new(&about.name, about.model.clone(), "linear_probe", metrics, hashes, fields)
}
