//! One pair: what each stage did with it, or all that its row has.

use clip_corpus::{columns, row_index, row_part};
use clip_image::hash::hex;
use clip_pipeline::{RunLayout, RunReader, TraceOutcome, TraceStep};
use clip_query::QueryList;
use clip_report::{Cell, Section, Table, escape};
use serde_json::{Map, Value};

use super::build::run_tabs;
use crate::http::{Reply, Request, link};
use crate::page::{anchor, outer, page};
use crate::stages::stages;
use crate::state::{State, name_of};
use crate::{Error, Result};

/// The pair with the number `row` in a run, or that `find` names there; or row `at` of a corpus.
pub(crate) fn pair(state: &State, request: &Request) -> Result<Reply> {
    let query = &request.query;
    if let Some(at) = query.number::<u64>("at")? {
        return row(state, request, at);
    }
    let path = state.path(request)?;
    let run = RunReader::of_stages(RunLayout::new(&path), stages(&path)?);
    let rows = match (query.number::<u64>("row")?, query.get("find")) {
        (Some(row), _) => vec![row],
        (None, Some(name)) => clip_crawl::find_rows(&run, name)?,
        (None, None) => return Err(Error::BadRequest("neither row nor find".into())),
    };
    let of = query.need("of")?;
    let (Some(&first), true) = (rows.first(), !run.stages().is_empty()) else {
        let hint = "hint: give a uid, a URL, a sample's key, or a row's number";
        let named = query.get("find").unwrap_or_default();
        return Err(Error::NotFound(format!(
            "{}: no pair {named:?} in this run\n{hint}",
            name_of(&path)
        )));
    };
    let steps = run.trace(first)?;
    let mut body = run_tabs(of, "");
    if rows.len() > 1 {
        let others = rows[1..].iter().map(|row| {
            let row = row.to_string();
            anchor("/pair", &[("of", of), ("row", &row)], &row)
        });
        let others: Vec<String> = others.collect();
        body.push_str(&format!("<p>Other rows of this name: {}</p>\n", others.join(" ")));
    }
    let image = link("/image", &[("of", of), ("row", &first.to_string())]);
    let end = match steps.last() {
        Some(step) if step.outcome == TraceOutcome::Dropped => why(step, of),
        Some(step) if step.outcome == TraceOutcome::Missing => {
            let stage = escape(&step.stage);
            format!("<b>Stage {stage} has not done its part yet, or has no such row.</b>")
        }
        _ => "<b>In the corpus.</b>".to_owned(),
    };
    body.push_str(&format!(
        "<p id=\"outcome\">{end} Part {}, place {}.</p>\n<figure class=\"large\"><img alt=\"the pair's image\" src=\"{}\"></figure>\n",
        row_part(first),
        row_index(first),
        escape(&image)
    ));
    let queries = state.queries_of(run.stages())?;
    for step in &steps {
        let table = facts(&step.values, queries);
        let about = match step.outcome {
            TraceOutcome::In => "It was collected here.",
            TraceOutcome::Kept if table.is_empty() => "It was kept as it was.",
            TraceOutcome::Kept => "It was kept. New or changed here:",
            TraceOutcome::Dropped => "It was dropped here.",
            TraceOutcome::Missing => "Not done yet.",
        };
        let section = Section::new(step.stage.as_str(), about).table(&table);
        body.push_str(&section.html());
    }
    Ok(page(&format!("Row {first}"), &body))
}

/// Where a pair was dropped, why, and of which pair it is a copy.
fn why(step: &TraceStep, of: &str) -> String {
    let text = |name: &str| step.values.get(name).and_then(Value::as_str).unwrap_or_default();
    let stage = escape(&step.stage);
    let reasons: Vec<&str> =
        ["reason", "detail"].map(text).into_iter().filter(|text| !text.is_empty()).collect();
    let mut html = format!("<b>Dropped in stage {stage}: {}.</b>", escape(&reasons.join(", ")));
    let kept = text("copy_of.uid");
    if !kept.is_empty() {
        let link = anchor("/pair", &[("of", of), ("find", kept)], "the pair that was kept");
        html.push_str(&format!(" It is a copy of {link}."));
    }
    html
}

/// All cells of a row of a corpus.
fn row(state: &State, request: &Request, at: u64) -> Result<Reply> {
    let corpus = state.corpus(request)?;
    let cells = corpus.tables.cells(&[at], &[])?.pop();
    let (Some(cells), Some(file)) = (cells, corpus.tables.file_of(at)) else {
        return Err(Error::absent(format!("row {at}")));
    };
    let image = format!("/image?{}", request.query.with(&[]));
    let table = facts(&cells, state.queries_of(&corpus.source.stages)?);
    let body = format!(
        "<figure class=\"large\"><img alt=\"the row's image\" src=\"{}\"></figure>\n<p>Row {} of {}.</p>\n{}",
        escape(&image),
        at - file.rows.start,
        escape(&name_of(&file.path)),
        table.html()
    );
    Ok(page(&format!("Row {at}"), &body))
}

/// Names and values, as a page shows them.
fn facts(values: &Map<String, Value>, queries: Option<&QueryList>) -> Table {
    let shown = values
        .iter()
        .filter(|(name, value)| name.as_str() != columns::ROW && !value.is_null() && *value != "");
    Table::of_facts(
        shown.map(|(name, value)| (name.as_str(), Cell::Markup(shown_value(name, value, queries)))),
    )
}

fn shown_value(name: &str, value: &Value, queries: Option<&QueryList>) -> String {
    match value {
        Value::String(text) => outer(text),
        Value::Number(number) if name == columns::PHASH || name == columns::DHASH => {
            number.as_u64().map_or_else(|| number.to_string(), hex)
        }
        Value::Array(ids) if name == columns::QUERIES => {
            let text = |id: &Value| {
                let list = queries?.queries();
                Some(list.get(usize::try_from(id.as_u64()?).ok()?)?.text.clone())
            };
            let names = ids.iter().map(|id| text(id).unwrap_or_else(|| id.to_string()));
            escape(&names.collect::<Vec<_>>().join(", "))
        }
        other => escape(&other.to_string()),
    }
}
