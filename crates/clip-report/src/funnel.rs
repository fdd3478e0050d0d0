//! What became of the pairs: the funnel of a build.

use clip_pipeline::{RunReader, StageReader};

use crate::page::{escape, grouped, table};

/// Rows in and out of every stage, and why rows were dropped.
pub fn funnel(run: &RunReader) -> String {
    let stages = run.stages();
    let most = stages.iter().map(|stage| stage.counts.rows_in).max().unwrap_or(0).max(1);
    let rows: Vec<_> = stages.iter().map(|stage| row(stage, most)).collect();
    table(&["stage", "in", "out", "", "dropped because"], &rows)
}

fn row(stage: &StageReader, most: u64) -> Vec<String> {
    let counts = &stage.counts;
    let width = |rows: u64| 15.0 * rows as f64 / most as f64;
    let mut reasons: Vec<_> = counts.dropped.iter().collect();
    reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), reason.as_str()));
    let reasons: Vec<String> = reasons
        .iter()
        .map(|(reason, count)| format!("{} {}", grouped(**count), escape(reason)))
        .collect();
    vec![
        escape(&stage.name),
        grouped(counts.rows_in),
        grouped(counts.rows_out),
        format!(
            "<span class=\"bar\" style=\"width:{:.2}rem\"></span><span class=\"bar drop\" style=\"width:{:.2}rem\"></span>",
            width(counts.rows_out),
            width(counts.rejected())
        ),
        format!("<div class=\"reasons\">{}</div>", reasons.join("<br>")),
    ]
}
