//! `clip-data eval few-shot`.

use std::process::ExitCode;

use anyhow::bail;
use clip_cli::torch::FewShotArgs;
use clip_eval::{Shots, few_shot};
use serde_json::json;

use super::super::inputs::write_json;
use super::super::page;
use super::{fit_options, source};

/// Runs the curve.
pub fn run_few_shot(args: FewShotArgs) -> anyhow::Result<ExitCode> {
    if let Some(zero) = args.zero_shot.filter(|zero| !(*zero > 0.0 && *zero < 1.0)) {
        bail!("--zero-shot {zero}: not between 0 and 1");
    }
    let mut probed = source::open(&args.source, args.zero_shot.is_none())?;
    // Of a dataset with folds one is drawn from: the first, or the one that was asked for.
    let fold = source::folds(&args.source, &probed)?.start;
    let (parts, dropped) = probed.parts(&args.source, fold, true)?;
    let about = &probed.about;
    if about.folds > 1 {
        println!("examples are drawn from fold {} of {} (--fold)", fold + 1, about.folds);
    }
    let zero = args.zero_shot.or(about.zero_shot);
    println!("{} by examples a class", parts.metric.name());
    if let Some(zero) = zero {
        println!("{:>5} shots  {:>6.2}%", 0, 100.0 * zero);
    }
    let on_point = |point: &clip_eval::ShotScore| {
        let shots = point.shots.map_or("all".into(), |shots| shots.to_string());
        println!("{shots:>5} shots  {:>6.2}%", 100.0 * point.value);
    };
    let asked = Shots { counts: &args.shots, seeds: args.seeds, zero_shot: zero };
    let result = few_shot(&parts, asked, fit_options(&args.fit), on_point)?;
    for left in &result.left_out {
        let class = about.class_name(left.class);
        println!("{:>5} shots  left out: {class} has {} to fit on", left.shots, left.has);
    }
    match result.efficiency {
        Some(clip_stats::Efficiency::About(n)) => {
            println!("zero-shot is worth {n:.1} labelled examples a class");
        }
        Some(clip_stats::Efficiency::Below(n)) => {
            println!("zero-shot is worth fewer than {n} labelled examples a class");
        }
        Some(clip_stats::Efficiency::Above(n)) => {
            println!("zero-shot is worth more than all {n:.0} labelled examples a class");
        }
        None => {}
    }
    print!("{}", about.note());
    let document = json!({
        "dataset": about.name, "model": about.model, "task": "few_shot", "few_shot": result,
        "main_metric": about.metric.name(), "space": about.space, "preprocess": about.preprocess,
         "classes": about.classes,
        "class_subset": about.subset, "fold": fold + 1, "folds": about.folds,
        "limit": about.sample.and_then(|s| s.limit),
        "items_total": about.sample.map(|s| s.items_total),
        "dropped": dropped, "items": parts.test.len(),
        "hashes": {"model": about.model_hash, "data": about.data_hash()},
    });
    if let Some(path) = &args.out {
        write_json(path, &document)?;
    }
    if let Some(path) = &args.html {
        page::few_shot(path, &[document])?;
        println!("page: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
