//! What became of the pairs: the funnel of a build.

use clip_pipeline::StageReader;

use crate::markup::{escape, grouped};
use crate::{Cell, Section, Table};

/// Width of the longest bar, in rem.
const WIDTH: f64 = 15.0;

/// Rows in and out of every stage, and why rows were dropped.
pub fn funnel(stages: &[StageReader]) -> Section {
    funnel_with(stages, |_, reason| escape(reason))
}

/// The same; `shown` is the markup of a stage's reason.
pub fn funnel_with(stages: &[StageReader], shown: impl Fn(&str, &str) -> String) -> Section {
    let mut table = Table::new(["stage", "in", "out", "", "dropped because"]);
    table.extend(stages.iter().map(|stage| row(stage, &shown)));
    let about = "Pairs into and out of every stage, and why pairs were dropped. A bar is the pairs of \
                 its own stage: blue those that continue, orange those that were dropped.";
    Section::new("The funnel", about).table(&table)
}

/// Reasons, a line each; none is an empty cell, which a telephone leaves out.
pub(crate) fn reasons_cell(reasons: &[String]) -> Cell {
    if reasons.is_empty() {
        return Cell::Markup(String::new());
    }
    Cell::Markup(format!("<div class=\"reasons\">{}</div>", reasons.join("<br>")))
}

fn row(stage: &StageReader, shown: &impl Fn(&str, &str) -> String) -> [Cell; 5] {
    let counts = &stage.counts;
    let all = counts.rows_in.max(counts.rows_out).max(1) as f64;
    let width = |rows: u64| WIDTH * rows as f64 / all;
    let mut reasons: Vec<_> = counts.dropped.iter().collect();
    reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), reason.as_str()));
    let mut reasons: Vec<String> = reasons
        .iter()
        .map(|(reason, count)| format!("{} {}", grouped(**count), shown(&stage.name, reason)))
        .collect();
    if counts.flagged > 0 {
        reasons.push(format!("{} flagged, which continue", grouped(counts.flagged)));
    }
    let (kept, dropped) = (width(counts.rows_out), width(counts.rejected()));
    [
        stage.name.as_str().into(),
        counts.rows_in.into(),
        counts.rows_out.into(),
        Cell::Markup(format!(
            "<span class=\"bar\" style=\"width:{kept:.2}rem\"></span><span class=\"bar drop\" style=\"width:{dropped:.2}rem\"></span>"
        )),
        reasons_cell(&reasons),
    ]
}
