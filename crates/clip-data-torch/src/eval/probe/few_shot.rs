//! `clip-data eval few-shot`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use clip_cli::torch::FewShotArgs;
use clip_datasets::ClassSubset;
use clip_eval::{Dropped, FewShot, Shots, few_shot};
use clip_report::{Axis, Line, Page, Scale, Section, Table, line_chart};
use clip_stats::Efficiency;
use serde::Serialize;
use serde_json::Value;

use super::super::inputs::write_json;
use super::super::page::percent;
use super::{fit_options, source};

/// The result file.
#[derive(Serialize)]
struct FewShotResult<'a> {
    dataset: &'a str,
    model: &'a str,
    task: &'static str,
    few_shot: &'a FewShot,
    main_metric: &'static str,
    space: &'a str,
    preprocess: Option<&'a Value>,
    classes: usize,
    class_subset: Option<&'a ClassSubset>,
    /// From 1.
    fold: usize,
    folds: usize,
    limit: Option<usize>,
    items_total: Option<u64>,
    dropped: Dropped,
    items: usize,
    hashes: FewShotHashes<'a>,
}

/// What was evaluated: a curve has no prompts.
#[derive(Serialize)]
struct FewShotHashes<'a> {
    model: &'a str,
    data: String,
}

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
    if let Some(efficiency) = result.efficiency {
        println!("{}", worth(efficiency));
    }
    print!("{}", about.note());
    let curve = FewShotResult {
        dataset: &about.name,
        model: &about.model,
        task: "few_shot",
        few_shot: &result,
        main_metric: about.metric.name(),
        space: &about.space,
        preprocess: about.preprocess.as_ref(),
        classes: about.classes,
        class_subset: about.subset.as_ref(),
        fold: fold + 1,
        folds: about.folds,
        limit: about.sample.and_then(|s| s.limit),
        items_total: about.sample.map(|s| s.items_total),
        dropped,
        items: parts.test.len(),
        hashes: FewShotHashes { model: &about.model_hash, data: about.data_hash() },
    };
    if let Some(path) = &args.out {
        write_json(path, &curve)?;
    }
    if let Some(path) = &args.html {
        page(path, &about.name, &result)?;
        println!("page: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// What zero-shot transfer is worth, in words.
fn worth(efficiency: Efficiency) -> String {
    let (how, shots) = match efficiency {
        Efficiency::About(n) => ("", format!("{n:.1}")),
        Efficiency::Below(n) => ("fewer than ", n.to_string()),
        Efficiency::Above(n) => ("more than all ", format!("{n:.0}")),
    };
    format!("zero-shot is worth {how}{shots} labelled examples a class")
}

/// Writes the page of a curve.
fn page(path: &Path, dataset: &str, curve: &FewShot) -> anyhow::Result<()> {
    let mut page = Page::new("Few-shot");
    let points: Vec<(f64, f64)> = curve.points.iter().map(|p| (p.per_class, p.value)).collect();
    let mut table = Table::new(["examples a class", curve.metric]);
    table.extend(points.iter().map(|(k, a)| [format!("{k:.0}").into(), percent(Some(*a)).into()]));
    let zero = curve.zero_shot.zip(points.first().zip(points.last())).map(|(zero, (a, b))| Line {
        name: "zero-shot".into(),
        points: vec![(a.0, zero), (b.0, zero)],
    });
    let mut lines = vec![Line { name: "probe".into(), points: points.clone() }];
    lines.extend(zero);
    let about = curve.efficiency.map_or(String::new(), worth);
    let x = Axis { name: "labelled examples a class", scale: Scale::Log };
    let chart = line_chart(&lines, x, Axis { name: curve.metric, scale: Scale::Share });
    page.add(&Section::new(dataset, about).markup(&chart).table(&table));
    Ok(page.write(path)?)
}
