//! `clip-data eval robustness`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clip_cli::torch::RobustnessArgs;
use clip_report::{Page, Section};
use clip_stats::robustness::{Baseline, Robustness, SHIFTS, Shift, slope};
use serde::Serialize;

use super::inputs::write_json;
use super::plot::{Scatter, bars};
use super::score_files::{ScoreFile, ScoreGroup};

/// The result file.
#[derive(Serialize)]
struct RobustnessResult {
    task: &'static str,
    model: Option<String>,
    before_model: Option<String>,
    probes_model: Option<String>,
    /// The shifted sets.
    shifts: Vec<ShiftRow>,
    /// Zero-shot less a supervised probe, the largest difference first.
    figure5: Vec<Win>,
}

/// A model on one shifted set.
#[derive(Serialize)]
struct ShiftRow {
    /// The model beside the line.
    #[serde(flatten)]
    found: Robustness,
    /// The shifted set.
    shift: &'static str,
    relative: Option<f64>,
    note: Option<String>,
    /// The line of the standard models.
    line: FittedLine,
    /// Their accuracies on ImageNet and on the shifted set.
    models: Vec<(f64, f64)>,
}

/// A line in logit space.
#[derive(Serialize)]
struct FittedLine {
    /// Its slope.
    slope: f64,
    /// Its intercept.
    intercept: f64,
    r: f64,
}

/// Runs the comparison.
pub fn run(args: RobustnessArgs) -> anyhow::Result<ExitCode> {
    let known = ScoreGroup::read(&args.scores, "scores")?;
    let before = ScoreGroup::read(&args.before, "--before")?;
    let probes = ScoreGroup::read(&args.probes, "--probes")?;
    let bases = bases(&args.base, &known)?;
    let shifts = shifts(&known, &before, &bases)?;
    let mut wins = figure5(&known, &probes)?;
    wins.sort_by(|a, b| b.difference.total_cmp(&a.difference));
    if shifts.is_empty() && wins.is_empty() {
        bail!(
            "no scores of ImageNet with a shifted set, and none of the paper's 27 datasets\nhint: a shifted set is one of {}",
            SHIFTS.map(|s| s.id).join(", ")
        );
    }
    let groups = [("scores", &known), ("before", &before), ("probes", &probes)];
    for (what, group) in groups.iter().filter(|(_, group)| !group.files.is_empty()) {
        let model = group.model.as_deref().unwrap_or("a model that the files do not name");
        println!("{what} of {model}");
    }
    for row in &shifts {
        let found = &row.found;
        println!(
            "{:<16} {:>6.2}%, predicted {:>6.2}% [{:.2}, {:.2}] from {:.2}%: effective robustness {:+.2} points{}",
            row.shift,
            100.0 * found.shifted,
            100.0 * found.predicted,
            100.0 * found.band.low,
            100.0 * found.band.high,
            100.0 * found.base,
            100.0 * found.effective,
            row.relative.map_or(String::new(), |tau| format!(", relative {:+.2}", 100.0 * tau))
        );
        if let Some(note) = &row.note {
            println!("  {note}");
        }
    }
    if !shifts.is_empty() {
        let sum: f64 = shifts.iter().map(|row| row.found.effective).sum();
        println!(
            "mean effective robustness over {} shifts {:+.2} points",
            shifts.len(),
            100.0 * sum / shifts.len() as f64
        );
    }
    for win in &wins {
        println!(
            "{:<16} {}: zero-shot {:>6.2}%, supervised probe {:>6.2}% ({}): {:+.2}",
            win.id,
            win.metric,
            100.0 * win.zero_shot,
            100.0 * win.probe,
            win.source,
            100.0 * win.difference
        );
    }
    let better = wins.iter().filter(|win| win.difference > 0.0).count();
    if !wins.is_empty() {
        println!("zero-shot is better on {better} of {} datasets", wins.len());
    }
    let points: Vec<(f64, f64)> = wins.iter().map(|win| (win.probe, win.zero_shot)).collect();
    let fitted = if points.len() > 2 { slope(&points).ok() } else { None };
    if let Some((slope, r)) = &fitted {
        println!(
            "zero-shot on probe: slope {:.2} [{:.2}, {:.2}], correlation {r:.2} (paper, figure 8: 1.28 [0.93, 1.79], 0.82 with the probe on CLIP's own features)",
            slope.estimate, slope.interval.low, slope.interval.high
        );
    }
    let result = RobustnessResult {
        task: "robustness",
        model: known.model,
        before_model: before.model,
        probes_model: probes.model,
        shifts,
        figure5: wins,
    };
    if let Some(path) = &args.out {
        write_json(path, &result)?;
    }
    if let Some(path) = &args.html {
        page(path, &result)?;
        println!("page: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of plots.
fn page(path: &Path, result: &RobustnessResult) -> anyhow::Result<()> {
    let mut page = Page::new("Robustness");
    for row in &result.shifts {
        let plot = Scatter {
            points: &row.models,
            line: (row.line.slope, row.line.intercept),
            own: (row.found.base, row.found.shifted),
        };
        let about = format!(
            "effective robustness {:+.2} points; blue: standard models of the ImageNet testbed with their line in logit space; orange: this model",
            100.0 * row.found.effective
        );
        page.add(&Section::new(row.shift, about).markup(&plot.svg()));
    }
    let differences: Vec<(String, f64)> =
        result.figure5.iter().map(|win| (win.id.to_owned(), win.difference)).collect();
    let about = "points of the metric, as in figure 5 of the paper";
    let section = Section::new("Zero-shot less a supervised probe", about);
    page.add(&section.markup(&bars(&differences)));
    Ok(page.write(path)?)
}

/// The accuracies that were given for the classes of shifted sets.
fn bases<'a>(texts: &'a [String], known: &ScoreGroup) -> anyhow::Result<Vec<(&'a str, f64)>> {
    let mut bases = Vec::new();
    for text in texts {
        let pair = text.split_once('=').and_then(|(name, x)| Some((name, x.parse::<f64>().ok()?)));
        let (name, value) = pair.with_context(|| format!("--base {text}: not NAME=X"))?;
        if !(value > 0.0 && value < 1.0) {
            bail!("--base {text}: an accuracy is between 0 and 1");
        }
        if !SHIFTS.iter().any(|shift| shift.id == name) {
            let known = SHIFTS.map(|shift| shift.id).join(", ");
            bail!("--base {text}: {name:?} is no shifted set\nhint: one of {known}");
        }
        if known.zero_shot(name).is_none() {
            bail!("--base {text}: there is no score of {name} that it would be the base of");
        }
        bases.push((name, value));
    }
    Ok(bases)
}

/// Effective robustness, of top-1 as the testbed has it.
fn shifts(
    known: &ScoreGroup,
    before: &ScoreGroup,
    bases: &[(&str, f64)],
) -> anyhow::Result<Vec<ShiftRow>> {
    let of = |group: &ScoreGroup, id: &str| group.zero_shot(id)?.value("acc1");
    let mut rows = Vec::new();
    for shift in &SHIFTS {
        let Some(shifted) = of(known, shift.id) else { continue };
        let given = bases.iter().find(|(name, _)| *name == shift.id).map(|(_, x)| *x);
        let own_classes = known.of_classes("imagenet", shift.id).and_then(|f| f.value("acc1"));
        let own_classes = own_classes.filter(|_| shift.base != "val");
        let given = given.or(own_classes);
        let Some(base) = given.or_else(|| of(known, "imagenet")) else { continue };
        if base <= 0.0 || base >= 1.0 {
            eprintln!(
                "warning: {}: left out, for an accuracy of {base} on its base has no logit",
                shift.id
            );
            continue;
        }
        let fit = Baseline::of(shift)?;
        let found = fit
            .robustness(base, shifted)
            .with_context(|| format!("{}: accuracy {base}", shift.id))?;
        rows.push(ShiftRow {
            found,
            shift: shift.id,
            relative: of(before, shift.id).map(|old| shifted - old),
            note: note(shift, given.is_some()),
            line: FittedLine { slope: fit.slope, intercept: fit.intercept, r: fit.r },
            models: fit.points,
        });
    }
    Ok(rows)
}

/// Why a number is not the testbed's.
fn note(shift: &Shift, given: bool) -> Option<String> {
    let subset = shift.base != "val" && !given;
    let curved = shift.id == "imagenet-a";
    match (subset, curved) {
        (true, _) => Some(format!(
            "the line is of ImageNet on the classes of {}: give that accuracy with --base {}=X",
            shift.id, shift.id
        )),
        (_, true) => {
            Some("the standard models are not on a line here: the testbed fits it piecewise".into())
        }
        _ => None,
    }
}

/// Zero-shot transfer and a supervised probe on one dataset, by one metric.
#[derive(Serialize)]
struct Win {
    /// The dataset.
    #[serde(rename = "dataset")]
    id: &'static str,
    metric: String,
    zero_shot: f64,
    probe: f64,
    /// Zero-shot less the probe.
    difference: f64,
    #[serde(rename = "probe_source")]
    source: &'static str,
}

impl Win {
    fn new(
        id: &'static str,
        metric: &str,
        zero_shot: f64,
        (probe, source): (f64, &'static str),
    ) -> Self {
        let difference = zero_shot - probe;
        Self { id, metric: metric.to_owned(), zero_shot, probe, difference, source }
    }
}

fn figure5(known: &ScoreGroup, probes: &ScoreGroup) -> anyhow::Result<Vec<Win>> {
    let mut wins = Vec::new();
    // A score of some classes is the base of a shifted set alone.
    for zero in known.files.iter().filter(|file| !file.probe && file.is_whole()) {
        let id = zero.dataset.id.as_str();
        let given = probes.probe(id).or_else(|| known.probe(id));
        let win = match given {
            Some(probe) => Some(same_metric(zero, probe)?),
            None if probes.files.is_empty() => beside_paper(zero),
            None => None,
        };
        wins.extend(win);
    }
    Ok(wins)
}

/// Both by zero-shot's metric.
fn same_metric(zero: &ScoreFile, probe: &ScoreFile) -> anyhow::Result<Win> {
    let metric = &zero.metric;
    let Some((own, other)) = zero.value(metric).zip(probe.value(metric)) else {
        bail!(
            "{}: zero-shot counts by {metric} ({}), and the probe ({}) has {}\nhint: `eval linear-probe --out` writes lp_{metric} or lp_main_metric",
            zero.dataset.id,
            zero.path.display(),
            probe.path.display(),
            probe.names()
        );
    };
    Ok(Win::new(&zero.dataset.id, metric, own, (other, "given")))
}

/// Beside the paper's ResNet-50, which counts by the paper's metric.
fn beside_paper(zero: &ScoreFile) -> Option<Win> {
    let dataset = zero.dataset;
    // The paper gives the difference to its best model's zero-shot score.
    let best = dataset.published("ViT-L/14@336px")?.0 - dataset.figure5?;
    if zero.metric != dataset.metric.name() {
        eprintln!(
            "{}: scored by {}, the paper's probe by {}: not compared",
            dataset.id,
            zero.metric,
            dataset.metric.name()
        );
        return None;
    }
    let source =
        if dataset.figure5_verified { "paper, ResNet-50" } else { "paper, ResNet-50, as recalled" };
    let own = zero.value(&zero.metric)?;
    Some(Win::new(&dataset.id, &zero.metric, own, (best / 100.0, source)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn group(files: &[(&str, Value)]) -> ScoreGroup {
        let dir = tempfile::tempdir().unwrap();
        let write = |(name, document): &(&str, Value)| {
            let path = dir.path().join(format!("{name}.json"));
            std::fs::write(&path, document.to_string()).unwrap();
            path
        };
        ScoreGroup::read(&files.iter().map(write).collect::<Vec<_>>(), "scores").unwrap()
    }

    #[test]
    fn zero_shot_and_probe_are_compared_by_one_metric() {
        let zero = json!({"dataset": "pets", "task": "zeroshot_classification",
            "main_metric": "mean_per_class_recall",
            "metrics": {"acc1": 0.9, "mean_per_class_recall": 0.5}});
        let probe =
            |metrics: Value| json!({"dataset": "pets", "task": "linear_probe", "metrics": metrics});
        let both = group(&[
            ("z", zero.clone()),
            ("p", probe(json!({"lp_acc1": 0.9, "lp_mean_per_class_recall": 0.5}))),
        ]);
        let wins = figure5(&both, &ScoreGroup::default()).unwrap();
        assert_eq!((wins[0].difference, wins[0].metric.as_str()), (0.0, "mean_per_class_recall"));
        let other = json!({"dataset": "pets", "task": "linear_probe", "main_metric": "acc1",
            "metrics": {"lp_acc1": 0.9}});
        let message = figure5(&group(&[("z", zero), ("p", other)]), &ScoreGroup::default());
        let message = message.err().unwrap().to_string();
        assert!(
            message.contains("mean_per_class_recall") && message.contains("lp_acc1"),
            "{message}"
        );
    }

    #[test]
    fn the_papers_probe_is_compared_by_the_papers_metric_only() {
        let zero = |metric: &str| {
            json!({"dataset": "pets", "task": "zeroshot_classification", "main_metric": metric,
                "metrics": {metric: 0.5}})
        };
        let of = |metric: &str| {
            figure5(&group(&[("z", zero(metric))]), &ScoreGroup::default()).unwrap().len()
        };
        assert_eq!((of("mean_per_class_recall"), of("acc1")), (1, 0));
        // A score of some of ImageNet's classes is none of ImageNet.
        let imagenet = |subset: Value| {
            let zero = json!({"dataset": "imagenet", "task": "zeroshot_classification",
                "main_metric": "acc1", "metrics": {"acc1": 0.5}, "class_subset": subset});
            figure5(&group(&[("z", zero)]), &ScoreGroup::default()).unwrap().len()
        };
        let some = json!({"name": "imagenet-r", "classes": 200, "of": 1000});
        assert_eq!((imagenet(Value::Null), imagenet(some)), (1, 0));
    }
}
