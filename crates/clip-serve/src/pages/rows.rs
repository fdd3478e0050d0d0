//! Rows of a corpus, filtered, with their images.

use std::time::Duration;

use arrow::datatypes::Schema;
use clip_corpus::columns;
use clip_pipeline::StageReader;
use clip_report::{escape, grouped, small_image};
use serde_json::{Map, Value};

use super::build::run_tabs;
use crate::corpus::{FIELDS, caption_column, condition, score_columns};
use crate::http::{Fields, Reply, Request, link};
use crate::neighbours::embedding_files;
use crate::page::{anchor, choice, counted, fault, outer, page};
use crate::state::{Corpus, State, name_of};
use crate::{Error, Result};

/// Rows of a page.
const ROWS: usize = 48;
/// For how long a page searches before it shows what it has.
const TIME: Duration = Duration::from_millis(200);
/// Scores that are shown of a row.
const SCORES: usize = 4;
/// Seconds for which a browser keeps an image.
const KEPT: u32 = 3600;

/// A page of rows from number `from` on.
pub(crate) fn rows(state: &State, request: &Request) -> Result<Reply> {
    let corpus = state.corpus(request)?;
    let (query, tables) = (&request.query, &corpus.tables);
    let title = name_of(&state.path(request)?);
    let from: u64 = query.number("from")?.unwrap_or(0);
    let is_run = !corpus.source.stages.is_empty();
    let mut body = if is_run { run_tabs(query.need("of")?, "pairs") } else { String::new() };
    body.push_str(&form(query, &corpus, state));
    let found = condition(query, tables.schema(), state.queries_of(&corpus.source.stages)?)
        .and_then(|text| Ok((tables.find(text.as_deref(), from, ROWS, TIME)?, text)));
    let (found, text) = match found {
        Ok(found) => found,
        // The form stays, so that it can be corrected.
        Err(error @ (Error::BadRequest(_) | Error::Pipeline(_) | Error::Sql(_))) => {
            body.push_str(&fault(&error.to_string()));
            let status = axum::http::StatusCode::BAD_REQUEST;
            return Ok(page(&title, &body).with_status(status));
        }
        Err(error) => return Err(error),
    };
    let all = tables.rows();
    let about = match (&text, found.rows.len() as u64) {
        (None, 0) => {
            format!("No row from number {} on, of {}.", grouped(from), counted(all, "row"))
        }
        (None, count) => {
            format!("Rows {} to {} of {}.", grouped(from + 1), grouped(from + count), grouped(all))
        }
        (Some(_), count) => format!(
            "{} in rows {} to {} of {}.",
            counted(count, "match").replace("matchs", "matches"),
            grouped(found.searched.start + 1),
            grouped(found.searched.end),
            grouped(all)
        ),
    };
    let nothing = found.rows.is_empty() && text.is_some() && found.searched.end == all;
    let elsewhere = if nothing && is_run {
        " Pairs that a stage dropped are among its own rows: choose them above, or those after collect."
    } else {
        ""
    };
    body.push_str(&format!("<p id=\"found\">{about}{elsewhere}</p>\n"));
    let shown = query.get("rows").unwrap_or_default();
    body.push_str(&figures(&corpus, (query.need("of")?, shown), &found.rows, &[])?);
    body.push_str(&pager(query, from, text.is_none(), found.searched.end, all));
    Ok(page(&title, &body))
}

/// Rows with their images, in the order that is given; `of` and `shown` are the fields of the
/// corpus, `cosines` how near each is where that was asked.
pub(crate) fn figures(
    corpus: &Corpus,
    (of, shown): (&str, &str),
    rows: &[u64],
    cosines: &[f32],
) -> Result<String> {
    let tables = &corpus.tables;
    let mut sorted = rows.to_vec();
    sorted.sort_unstable();
    let cells = tables.cells(&sorted, &columns_of(tables.schema()))?;
    let embedded = corpus.source.stages.iter().find(|stage| stage.name == shown);
    let alike = embedded.map(embedding_files).transpose()?.is_some_and(|files| !files.is_empty());
    let is_run = !corpus.source.stages.is_empty();
    let place = Place { of, shown, is_run, alike };
    let html = rows.iter().enumerate().filter_map(|(number, row)| {
        let cells = cells.get(sorted.binary_search(row).ok()?)?;
        Some(figure(&place, *row, cells, tables.schema(), cosines.get(number).copied()))
    });
    Ok(format!("<div class=\"grid pairs\">\n{}</div>\n", html.collect::<String>()))
}

/// The corpus that a row is of.
struct Place<'a> {
    of: &'a str,
    shown: &'a str,
    is_run: bool,
    /// Whether embeddings are stored.
    alike: bool,
}

/// Links to the pages before and after.
fn pager(query: &Fields, from: u64, all_rows: bool, end: u64, of: u64) -> String {
    let to = |name: &str, at: u64, rel: &str| {
        let at = at.to_string();
        let href =
            escape(&format!("/rows?{}", query.with(&[("from", if at == "0" { "" } else { &at })])));
        format!("<a rel=\"{rel}\" href=\"{href}\">{name}</a> ")
    };
    let mut links = String::new();
    if from > 0 {
        links.push_str(&to("first", 0, "first"));
        if all_rows {
            links.push_str(&to("previous", from.saturating_sub(ROWS as u64), "prev"));
        }
    }
    if end < of {
        links.push_str(&to(if all_rows { "next" } else { "search on" }, end, "next"));
        if all_rows {
            links.push_str(&to("last", (of - 1) / ROWS as u64 * ROWS as u64, "last"));
        }
    }
    format!("<p class=\"pager\">{links}</p>\n")
}

/// The columns that a page shows.
fn columns_of(schema: &Schema) -> Vec<String> {
    let caption = caption_column(schema).into_iter();
    let plain = [
        columns::URL,
        "key",
        columns::UID,
        columns::ROW,
        columns::LANGUAGE,
        "width",
        "height",
        "reason",
        "detail",
        columns::OVERLAP,
    ];
    let scores = score_columns(schema).into_iter().take(SCORES);
    caption.chain(plain).chain(scores).map(str::to_owned).collect()
}

/// An image with its caption and what is known of it.
fn figure(
    place: &Place,
    at: u64,
    cells: &Map<String, Value>,
    schema: &Schema,
    cosine: Option<f32>,
) -> String {
    let text = |name: &str| cells.get(name).and_then(Value::as_str).unwrap_or_default();
    let Place { of, shown, is_run: run, alike } = *place;
    let number = at.to_string();
    let pair = match cells.get(columns::ROW).and_then(Value::as_u64).filter(|_| run) {
        Some(row) => link("/pair", &[("of", of), ("row", &row.to_string())]),
        None => link("/pair", &[("of", of), ("rows", shown), ("at", &number)]),
    };
    let image = link("/image", &[("of", of), ("rows", shown), ("at", &number)]);
    let (pair, image) = (escape(&pair), escape(&image));
    let caption = caption_column(schema).map_or("", text);
    let mut facts: Vec<String> =
        cosine.map(|cosine| format!("cosine <b>{cosine:.4}</b>")).into_iter().collect();
    if let (Some(width), Some(height)) = (cells.get("width"), cells.get("height"))
        && !width.is_null()
    {
        facts.push(format!("{width} × {height}"));
    }
    facts.extend([text(columns::LANGUAGE), text(columns::OVERLAP)].map(escape));
    let scores = score_columns(schema).into_iter().take(SCORES);
    facts.extend(scores.filter_map(|name| {
        let score = cells.get(name)?.as_f64()?;
        Some(format!("{} {score:.3}", escape(name)))
    }));
    let mut reason = format!("{} {}", text("reason"), text("detail"));
    reason = reason.trim().replace('\n', " ");
    facts.retain(|fact| !fact.is_empty());
    let mut lines = vec![format!("<span class=\"words\">{}</span>", escape(caption))];
    if !reason.is_empty() {
        lines.push(format!("<span class=\"drop\">{}</span>", escape(&reason)));
    }
    if !facts.is_empty() {
        lines.push(facts.join(" · "));
    }
    if !text(columns::URL).is_empty() {
        lines.push(outer(text(columns::URL)));
    }
    let near = [("of", of), ("rows", shown), ("like", number.as_str())];
    let alike = if alike { anchor("/search", &near, "alike") } else { String::new() };
    format!(
        "<figure><a href=\"{pair}\"><img loading=\"lazy\" alt=\"image of row {number}\" src=\"{image}\"></a>\
         <figcaption>{} <a href=\"{pair}\">explain</a> {alike}</figcaption></figure>\n",
        lines.join("<br>")
    )
}

/// The form of filters: those that the columns have something for, the first of them at once.
fn form(query: &Fields, corpus: &Corpus, state: &State) -> String {
    let schema = corpus.tables.schema();
    let value = |name: &str| escape(query.get(name).unwrap_or_default());
    let has = |name: &str| schema.field_with_name(name).is_ok();
    let input = |name: &str, kind: &str, label: &str| {
        format!(
            "<label>{label} <input type=\"{kind}\" name=\"{name}\" value=\"{}\"></label>\n",
            value(name)
        )
    };
    let mut html = format!(
        "<form class=\"filters\" method=\"get\" action=\"/rows\">\
         <input type=\"hidden\" name=\"of\" value=\"{}\">\n",
        value("of")
    );
    if !corpus.source.choices.is_empty() {
        let counts = |(name, text): &(String, String)| {
            let text = format!("{text}{}", rows_of(&corpus.source.stages, name));
            choice(name, &text, *name == corpus.source.shown)
        };
        let choices: String = corpus.source.choices.iter().map(counts).collect();
        html.push_str(&format!("<label>rows <select name=\"rows\">{choices}</select></label>\n"));
    }
    if caption_column(schema).is_some() {
        html.push_str(&input("words", "search", "words of the caption"));
    }
    if has(columns::URL) {
        html.push_str(&input("domain", "search", "domain"));
    }
    html.push_str("<button>search</button>\n");
    let kept = ["of", "rows"].map(|name| (name, query.get(name).unwrap_or_default()));
    let used = |names: &[&str]| names.iter().any(|name| query.get(name).is_some());
    if used(&FIELDS) {
        html.push_str(&format!("<a href=\"{}\">all rows</a>\n", escape(&link("/rows", &kept))));
    }
    let open = if used(&FIELDS[2..]) { " open" } else { "" };
    html.push_str(&format!("<details{open}><summary>more filters</summary>\n"));
    if has(columns::QUERIES) {
        let named = state.queries_of(&corpus.source.stages).is_ok_and(|list| list.is_some());
        let label = if named { "query" } else { "number of a query" };
        html.push_str(&input("query", "search", label));
    }
    if has(columns::LANGUAGE) {
        html.push_str(&input("language", "text", "language"));
    }
    for side in ["width", "height"].into_iter().filter(|side| has(side)) {
        html.push_str(&input(side, "number", &format!("least {side}")));
    }
    let scores = score_columns(schema);
    if !scores.is_empty() {
        let chosen = query.get("score");
        let options: String =
            scores.iter().map(|name| choice(name, name, chosen == Some(name))).collect();
        html.push_str(&format!(
            "<label>score <select name=\"score\">{options}</select></label>\n\
             <label>from <input type=\"number\" step=\"any\" name=\"least\" value=\"{}\"></label>\n\
             <label>to <input type=\"number\" step=\"any\" name=\"most\" value=\"{}\"></label>\n",
            value("least"),
            value("most")
        ));
    }
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    html.push_str(&format!(
        "<label class=\"sql\">condition in SQL <input type=\"text\" name=\"where\" value=\"{}\"></label>\
         <span class=\"about\">columns: {}</span></details>\n",
        value("where"),
        escape(&names.join(", "))
    ));
    html + "</form>\n"
}

/// How many rows a choice has.
fn rows_of(stages: &[StageReader], choice: &str) -> String {
    let (name, dropped) = match choice.split_once(':') {
        Some((name, _)) => (name, true),
        None => (choice, false),
    };
    let counts = stages.iter().find(|stage| stage.name == name).map(|stage| &stage.counts);
    counts.map_or_else(String::new, |counts| {
        format!(" ({})", grouped(if dropped { counts.rejected() } else { counts.rows_out }))
    })
}

/// The image of a row, small.
pub(crate) fn image(state: &State, request: &Request) -> Result<Reply> {
    let bytes = if let Some(row) = request.query.number::<u64>("row")? {
        let stages = crate::stages::stages(&state.path(request)?)?;
        crate::corpus::image_of_row(&stages, row)?
    } else {
        let at = request.query.number("at")?;
        let at = at.ok_or_else(|| Error::BadRequest("neither row nor at".into()))?;
        state.image(&state.corpus(request)?, at)?
    };
    Ok(image_reply(bytes.as_deref(), KEPT))
}

/// An image, small, or one that says that there is none.
pub(crate) fn image_reply(bytes: Option<&[u8]>, kept: u32) -> Reply {
    let none = || Reply::new("image/svg+xml", NONE).kept_for(kept);
    bytes.and_then(small_image).map_or_else(none, |(bytes, format)| {
        Reply::new(format.media_type(), bytes.into_owned()).kept_for(kept)
    })
}

/// In place of an image that there is not, or that cannot be decoded.
const NONE: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 100 100\">\
                    <text x=\"50\" y=\"54\" font-size=\"11\" font-family=\"system-ui\" fill=\"#667080\" \
                    text-anchor=\"middle\">no image</text></svg>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_link_to_each_other() {
        let query = Fields::parse(b"of=0&words=a&from=96");
        let all = pager(&query, 96, true, 144, 1000);
        for part in
            ["rel=\"prev\" href=\"/rows?of=0&amp;words=a&amp;from=48\"", "from=144", "from=960"]
        {
            assert!(all.contains(part), "{part}: {all}");
        }
        assert!(all.contains("rel=\"first\" href=\"/rows?of=0&amp;words=a\""), "{all}");
        let last = pager(&query, 96, false, 1000, 1000);
        assert!(!last.contains("next") && !last.contains("prev"), "{last}");
    }
}
