//! How trainings went.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::chart::{Axis, Line, Scale, line_chart};
use crate::{Cell, Error, Result, Section, Table};

/// The fields of a line of `steps.jsonl` that are shown.
#[derive(Deserialize)]
struct Record {
    step: f64,
    /// Not there where it was not finite.
    loss: Option<f64>,
    logit_scale: Option<f64>,
    seconds: f64,
    samples_per_second: f64,
}

/// A run that has steps.
struct Training {
    name: String,
    steps: Vec<Record>,
    /// Its evaluations.
    results: PathBuf,
}

/// The loss and the speed of runs of one or several trainings, side by side, from the
/// `steps.jsonl` of each.
///
/// # Errors
/// When a file cannot be read.
pub fn training(runs: &[PathBuf]) -> Result<Section> {
    let runs = runs.iter().map(|run| read(run)).collect::<Result<Vec<_>>>()?;
    let runs: Vec<Training> = runs.into_iter().filter(|run| !run.steps.is_empty()).collect();
    let section = Section::new("Training", "The contrastive loss over the steps of each run.");
    if runs.is_empty() {
        return Ok(section);
    }
    let mut head = vec![String::new()];
    head.extend(runs.iter().map(|run| run.name.clone()));
    let mut table = Table::new(head);
    let columns: Vec<Vec<(&str, Cell)>> = runs.iter().map(|run| facts(&run.steps)).collect();
    for at in 0..columns[0].len() {
        let name = Cell::from(columns[0][at].0);
        table.push([name].into_iter().chain(columns.iter().map(|facts| facts[at].1.clone())));
    }
    let line = |run: &Training| Line { name: run.name.clone(), points: smooth(&run.steps) };
    let lines: Vec<Line> = runs.iter().map(line).collect();
    let x = Axis { name: "optimizer step", scale: Scale::Linear };
    let chart = line_chart(&lines, x, Axis { name: "loss, nats", scale: Scale::Linear });
    let section = section.table(&table).markup(&chart);
    let several = runs.len() > 1;
    Ok(runs.iter().fold(section, |section, run| {
        let prefix = if several { format!("{}: ", run.name) } else { String::new() };
        evaluations(section, &run.results, &prefix)
    }))
}

fn read(run: &Path) -> Result<Training> {
    let path = run.join("steps.jsonl");
    if !path.is_file() {
        let hint = "hint: the folder of a run is wanted, as in logs/first";
        return Err(Error::file(run, format!("no run of `clip-data train` is here\n{hint}")));
    }
    let text = std::fs::read_to_string(&path).map_err(|e| Error::file(&path, e))?;
    // The last line may be cut off: the run may still be going.
    let steps = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let name = run.file_name().unwrap_or(run.as_os_str()).to_string_lossy().into_owned();
    Ok(Training { name, steps, results: run.join("checkpoints/results.jsonl") })
}

fn facts(steps: &[Record]) -> Vec<(&'static str, Cell)> {
    let seconds: f64 = steps.iter().map(|step| step.seconds).sum();
    let pairs: f64 = steps.iter().map(|step| step.samples_per_second * step.seconds).sum();
    let number = |value: Option<f64>, digits: usize| {
        Cell::Text(format!("{:.digits$}", value.unwrap_or(f64::NAN)))
    };
    let last = steps.last();
    vec![
        ("steps", (steps.len() as u64).into()),
        ("pairs seen", (pairs.round() as u64).into()),
        ("minutes", number(Some(seconds / 60.0), 1)),
        ("pairs a second", number(Some(pairs / seconds), 1)),
        ("loss at the end", number(last.and_then(|step| step.loss), 3)),
        ("logit scale at the end", number(last.and_then(|step| step.logit_scale), 1)),
    ]
}

/// What the names of zero-shot accuracies have in common in `results.jsonl`.
const ZERO_SHOT: &str = "-zeroshot-val-top1";

/// Accuracies by epoch, of each part of a set's items.
type Parts = BTreeMap<&'static str, Vec<(f64, f64)>>;

/// Appends the zero-shot accuracies by epoch, a chart a set: on all items, and where a
/// contamination report was given on Clean and Overlap. `prefix` is before the set's name.
fn evaluations(section: Section, path: &Path, prefix: &str) -> Section {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut sets: BTreeMap<String, Parts> = BTreeMap::new();
    for line in lines {
        let Some(epoch) = line["epoch"].as_f64() else { continue };
        for (name, value) in line.as_object().into_iter().flatten() {
            let named = name.split_once(ZERO_SHOT);
            let (Some((set, part)), Some(value)) = (named, value.as_f64()) else { continue };
            let part = match part {
                "" => "All",
                "-clean" => "Clean",
                "-overlap" => "Overlap",
                _ => continue,
            };
            sets.entry(set.to_owned()).or_default().entry(part).or_default().push((epoch, value));
        }
    }
    let about = "Zero-shot accuracy while the model trained: on all items; where a contamination report was given, \
                 also on items without a copy in the corpus (Clean) and with one (Overlap).";
    sets.into_iter().fold(section, |section, (set, parts)| {
        let line = |(name, points): (&str, _)| Line { name: name.to_owned(), points };
        let lines: Vec<Line> = parts.into_iter().map(line).collect();
        let x = Axis { name: "epochs", scale: Scale::Linear };
        let chart = line_chart(&lines, x, Axis { name: "top-1", scale: Scale::Share });
        if chart.is_empty() {
            section
        } else {
            section.heading(&format!("{prefix}{set}"), about).markup(&chart)
        }
    })
}

/// Means of neighbouring steps, so that a chart has at most some 300 points.
fn smooth(steps: &[Record]) -> Vec<(f64, f64)> {
    let mean = |steps: &[Record], value: &dyn Fn(&Record) -> f64| {
        steps.iter().map(value).sum::<f64>() / steps.len() as f64
    };
    let chunks = steps.chunks(steps.len().div_ceil(300).max(1));
    let loss = |step: &Record| step.loss.unwrap_or(f64::NAN);
    chunks.map(|steps| (mean(steps, &|step| step.step), mean(steps, &loss))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_shot_accuracies_are_drawn_in_three_parts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.jsonl");
        let line = |epoch: u32, all: f64, clean: f64, overlap: f64| {
            let names =
                ["", "-clean", "-overlap"].map(|part| format!("toys-zeroshot-val-top1{part}"));
            serde_json::json!({"epoch": epoch, &names[0]: all, &names[1]: clean, &names[2]: overlap})
        };
        let text = format!("{}\n{}\n", line(1, 0.2, 0.1, 0.4), line(2, 0.3, 0.2, 0.8));
        std::fs::write(&path, text).unwrap();
        let html = evaluations(Section::new("a", "b"), &path, "").html();
        for part in [">All<", ">Clean<", ">Overlap<", "<h3>toys</h3>", ">80%<"] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert_eq!(html.matches("<polyline").count(), 3);
        assert!(evaluations(Section::new("a", "b"), &folder.path().join("none"), "").is_empty());
    }

    #[test]
    fn runs_are_columns_of_one_table_and_lines_of_one_chart() {
        let folder = tempfile::tempdir().unwrap();
        let run = |name: &str, losses: &[f64]| {
            let run = folder.path().join(name);
            std::fs::create_dir(&run).unwrap();
            let line = |(step, loss): (usize, &f64)| {
                format!(
                    "{{\"step\": {step}, \"loss\": {loss}, \"logit_scale\": 14.3, \"seconds\": 2.0, \"samples_per_second\": 50.0}}\n"
                )
            };
            let mut text: String = losses.iter().enumerate().map(line).collect();
            text.push_str("{\"step\": 9");
            std::fs::write(run.join("steps.jsonl"), text).unwrap();
            run
        };
        let runs = [run("first", &[4.0, 3.5]), run("second", &[4.0, 3.0, 2.5]), run("new", &[])];
        let html = training(&runs).unwrap().html();
        assert_eq!(html.matches("<polyline").count(), 2, "{html}");
        for part in ["<th>first</th><th>second</th></tr>", "data-column=\"second\">2.500</td>"] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(training(&runs[2..]).unwrap().is_empty());
        let missing = training(&[folder.path().join("none")]).map(|_| ()).unwrap_err();
        assert!(
            missing.to_string().contains("none: no run of `clip-data train` is here\nhint: "),
            "{missing}"
        );
    }
}
