//! How a training went.

use std::path::Path;

use serde::Deserialize;

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

/// The loss and the speed of a run, from its `steps.jsonl`.
///
/// # Errors
/// When the file cannot be read.
pub fn training(run: &Path) -> Result<Section> {
    let path = run.join("steps.jsonl");
    let text = std::fs::read_to_string(&path).map_err(|e| Error::file(&path, e))?;
    // The last line may be cut off: the run may still be going.
    let steps: Vec<Record> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let section = Section::new("Training", "The contrastive loss over the steps of the run.");
    let Some(last) = steps.last() else { return Ok(section) };
    let seconds: f64 = steps.iter().map(|step| step.seconds).sum();
    let pairs: f64 = steps.iter().map(|step| step.samples_per_second * step.seconds).sum();
    let number = |value: Option<f64>, digits: usize| {
        Cell::Text(format!("{:.digits$}", value.unwrap_or(f64::NAN)))
    };
    let facts = [
        ("steps", (steps.len() as u64).into()),
        ("pairs seen", (pairs.round() as u64).into()),
        ("minutes", number(Some(seconds / 60.0), 1)),
        ("pairs a second", ((pairs / seconds).round() as u64).into()),
        ("loss at the end", number(last.loss, 3)),
        ("logit scale at the end", number(last.logit_scale, 1)),
    ];
    let loss = Line { name: "loss".into(), points: smooth(&steps) };
    let x = Axis { name: "optimizer step", scale: Scale::Linear };
    let chart = line_chart(&[loss], x, Axis { name: "loss, nats", scale: Scale::Linear });
    Ok(section.table(&Table::of_facts(facts)).markup(&chart))
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
