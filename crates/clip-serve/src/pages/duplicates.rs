//! Images that became one, side by side.

use std::collections::BTreeMap;
use std::time::Duration;

use clip_corpus::columns;
use clip_pipeline::{StageReader, tables_in};
use clip_report::{escape, grouped};
use serde_json::Value;

use super::build::run_tabs;
use crate::http::{Reply, Request, link};
use crate::page::{counted, page};
use crate::stages::stages;
use crate::state::{State, name_of};
use crate::{Error, Result};

/// Dropped copies of a page.
const COPIES: usize = 60;
/// For how long a page searches.
const TIME: Duration = Duration::from_millis(200);
/// Decisions about rows whose image stayed as another row's.
const DROPPED: &str = "reason IS NOT NULL AND cluster IS NOT NULL AND cluster <> \"row\"";

/// Whether a stage decided about clusters of images.
fn has_clusters(stage: &StageReader) -> bool {
    let first = tables_in(&stage.layout.decisions()).into_iter().next();
    let schema = first.and_then(|table| clip_corpus::schema_of(&table).ok());
    schema.is_some_and(|schema| schema.index_of(columns::CLUSTER).is_ok())
}

/// Clusters of copies: the image that stayed, then those that were dropped for it.
pub(crate) fn duplicates(state: &State, request: &Request) -> Result<Reply> {
    let (query, path) = (&request.query, state.path(request)?);
    let of = query.need("of")?;
    let stages = stages(&path)?;
    let stage = stages.iter().find(|stage| has_clusters(stage));
    let stage = stage.ok_or_else(|| Error::absent("a stage that drops duplicates"))?;
    let tables = state.tables(&tables_in(&stage.layout.decisions()))?;
    let from = query.number("from")?.unwrap_or(0);
    let found = tables.find(Some(DROPPED), from, COPIES, TIME)?;
    let names = [columns::ROW, columns::CLUSTER, "reason", "detail"].map(str::to_owned);
    let mut clusters: BTreeMap<u64, Vec<(u64, String)>> = BTreeMap::new();
    for cells in tables.cells(&found.rows, &names)? {
        let number = |name: &str| cells.get(name).and_then(Value::as_u64);
        let text = |name: &str| cells.get(name).and_then(Value::as_str).unwrap_or_default();
        if let (Some(row), Some(cluster)) = (number(columns::ROW), number(columns::CLUSTER)) {
            let why = format!("{} {}", text("reason"), text("detail"));
            clusters.entry(cluster).or_default().push((row, why.trim().to_owned()));
        }
    }
    let mut body = run_tabs(of, "duplicates");
    body.push_str(&format!(
        "<p id=\"found\">{} in decisions {} to {} of {}: on the left the image that stayed, then those that \
         were dropped for it.</p>\n",
        counted(found.rows.len() as u64, "copy").replace("copys", "copies"),
        grouped(found.searched.start + 1),
        grouped(found.searched.end),
        grouped(tables.rows())
    ));
    let image = |row: u64, text: &str| {
        let row = row.to_string();
        let fields = [("of", of), ("row", row.as_str())];
        format!(
            "<figure><a href=\"{}\"><img loading=\"lazy\" alt=\"image of row {row}\" src=\"{}\"></a>\
             <figcaption>{}</figcaption></figure>",
            escape(&link("/pair", &fields)),
            escape(&link("/image", &fields)),
            escape(text)
        )
    };
    for (kept, copies) in &clusters {
        let copies: String = copies.iter().map(|(row, why)| image(*row, why)).collect();
        body.push_str(&format!("<div class=\"copies\">{}{copies}</div>\n", image(*kept, "stayed")));
    }
    if found.searched.end < tables.rows() {
        let next = found.searched.end.to_string();
        let href = escape(&link("/duplicates", &[("of", of), ("from", &next)]));
        body.push_str(&format!(
            "<p class=\"pager\"><a rel=\"next\" href=\"{href}\">next</a></p>\n"
        ));
    }
    Ok(page(&name_of(&path), &body))
}
