//! What became of the pairs: the funnel of a build.

use std::path::Path;

use clip_corpus::Tally;
use serde::Deserialize;

use crate::error::json;
use crate::page::{escape, grouped, table};
use crate::{Error, Result};

#[derive(Deserialize)]
struct Summary {
    stages: Vec<Stage>,
}

#[derive(Deserialize)]
struct Stage {
    stage: String,
    tally: Tally,
}

/// Rows in and out of every stage, and why rows fell: from a run's `run.json`.
pub fn funnel(run: &Path) -> Result<String> {
    let path = run.join("run.json");
    let summary: Summary =
        serde_json::from_value(json(&path)?).map_err(|e| Error::file(&path, e))?;
    let most = summary.stages.iter().map(|stage| stage.tally.rows_in).max().unwrap_or(0).max(1);
    let rows: Vec<_> = summary.stages.iter().map(|stage| row(stage, most)).collect();
    Ok(table(&["stage", "in", "out", "", "dropped because"], &rows))
}

fn row(stage: &Stage, most: u64) -> Vec<String> {
    let tally = &stage.tally;
    let width = |rows: u64| 15.0 * rows as f64 / most as f64;
    let fallen: u64 = tally.dropped.values().sum();
    let mut reasons: Vec<_> = tally.dropped.iter().collect();
    reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), reason.as_str()));
    let reasons: Vec<String> = reasons
        .iter()
        .map(|(reason, count)| format!("{} {}", grouped(**count), escape(reason)))
        .collect();
    vec![
        escape(&stage.stage),
        grouped(tally.rows_in),
        grouped(tally.rows_out),
        format!(
            "<span class=\"bar\" style=\"width:{:.2}rem\"></span><span class=\"bar drop\" style=\"width:{:.2}rem\"></span>",
            width(tally.rows_out),
            width(fallen)
        ),
        format!("<div class=\"reasons\">{}</div>", reasons.join("<br>")),
    ]
}
