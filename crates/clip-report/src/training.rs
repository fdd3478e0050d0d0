//! How a training went.

use std::path::Path;

use serde_json::Value;

use crate::chart::{Line, line_chart};
use crate::page::{grouped, table};
use crate::{Error, Result};

/// The loss and the speed of a run, from its `steps.jsonl`.
pub fn training(run: &Path) -> Result<String> {
    let path = run.join("steps.jsonl");
    let text = std::fs::read_to_string(&path).map_err(|e| Error::file(&path, e))?;
    // The last line may be cut off: the run may still be going.
    let steps: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let number = |step: &Value, key: &str| step[key].as_f64().unwrap_or(f64::NAN);
    let Some(last) = steps.last() else { return Ok(String::new()) };
    let seconds: f64 = steps.iter().map(|step| number(step, "seconds")).sum();
    let pairs: f64 =
        steps.iter().map(|s| number(s, "samples_per_second") * number(s, "seconds")).sum();
    let rows = vec![
        vec!["steps".into(), grouped(steps.len() as u64)],
        vec!["pairs seen".into(), grouped(pairs.round() as u64)],
        vec!["minutes".into(), format!("{:.1}", seconds / 60.0)],
        vec!["pairs a second".into(), grouped((pairs / seconds).round() as u64)],
        vec!["loss at the end".into(), format!("{:.3}", number(last, "loss"))],
        vec!["logit scale at the end".into(), format!("{:.1}", number(last, "logit_scale"))],
    ];
    let loss = Line { name: "loss".into(), points: smooth(&steps) };
    Ok(table(&["", ""], &rows) + &line_chart(&[loss], "step", false))
}

/// Means of neighbouring steps, so that a chart has at most some 300 points.
fn smooth(steps: &[Value]) -> Vec<(f64, f64)> {
    let mean = |steps: &[Value], key: &str| {
        steps.iter().filter_map(|step| step[key].as_f64()).sum::<f64>() / steps.len() as f64
    };
    let chunks = steps.chunks(steps.len().div_ceil(300).max(1));
    chunks.map(|steps| (mean(steps, "step"), mean(steps, "loss"))).collect()
}
