//! The page on which a corpus can be looked through, from a file, without a server.

use rayon::prelude::*;
use serde_json::{Value, json};

use super::read::image as stored_image;
use super::text::{ASPECTS, CHARS, SIDES, WORDS};
use super::{Counts, Duplicates, Place, Record, Spread, Survey, host};
use crate::image;
use crate::markup::{escape, grouped, percent};
use crate::{Cell, Page, Section, Table};

const SCRIPT: &str = include_str!("browse.js");
/// Longer side of an image on the page.
const SIDE: u32 = 192;

/// Adds the survey's sections to a page; `query` gives the text of a query's id.
pub fn browse(
    page: &mut Page,
    survey: &Survey,
    duplicates: &Duplicates,
    query: &dyn Fn(u32) -> String,
) {
    let section = |title: &str, about: &str| Section::new(title, about);
    page.add(&section("In short", "").markup(&cards(survey, duplicates)));
    let about = "A sample drawn by the pairs' names: the same corpus shows the same pairs. Search and filters act on it.";
    page.add(&section("Pairs", about).markup(&gallery(survey, query)));
    let about = "Lengths of captions; CLIP reads at most 77 tokens, some 50 to 60 words.";
    let captions =
        [bars("characters", &survey.chars, &CHARS, 1.0), bars("words", &survey.words, &WORDS, 1.0)];
    page.add(&section("Captions", about).markup(&columns(captions)));
    let images = [
        bars("shorter side, pixels", &survey.sides, &SIDES, 1.0),
        bars("width / height", &survey.aspects, &ASPECTS, 100.0),
    ];
    page.add(&section("Images", "Sizes as they are stored.").markup(&columns(images)));
    let tops = [
        top("domain", &survey.domains, 20, survey.domains.total()),
        queries(survey, query),
        top("language", &survey.languages, 12, survey.languages.total()),
        top("caption from", &survey.sources, 12, survey.sources.total()),
        top("format", &survey.formats, 8, survey.formats.total()),
        top("status", &survey.statuses, 12, survey.statuses.total()),
        top("failed", &survey.failures, 12, survey.failures.total()),
        top("copy of", &survey.overlaps, 12, survey.pairs),
    ];
    let about = "The most frequent of each kind.";
    page.add(&section("Where they come from", about).markup(&columns(tops)));
    let about = "The largest groups of images whose perceptual hashes are near.";
    page.add(&section("Near copies", about).markup(&clusters(survey, duplicates)));
    let mut damaged = Table::new(["file"]);
    damaged.extend(survey.damaged.iter().map(|text| [Cell::from(text.as_str())]));
    page.add(&section("Damaged files", "Read as far as they go.").table(&damaged));
}

fn cards(survey: &Survey, duplicates: &Duplicates) -> String {
    let mut cards = vec![("pairs", grouped(survey.pairs))];
    if survey.images > 0 {
        cards.push(("images stored", grouped(survey.images)));
        cards.push(("megabytes", format!("{:.1}", survey.bytes as f64 / 1e6)));
    }
    if survey.chars.count() > 0 {
        cards.push(("words, median", grouped(survey.words.median())));
    }
    if survey.sides.count() > 0 {
        cards.push(("shorter side, median", grouped(survey.sides.median())));
    }
    if !survey.domains.is_empty() {
        cards.push(("domains", grouped(survey.domains.len() as u64)));
    }
    if !survey.queries.is_empty() {
        cards.push(("queries matched", grouped(survey.queries.len() as u64)));
    }
    if duplicates.with_file > 0 {
        cards.push(("copies, same bytes", grouped(duplicates.exact)));
    }
    if duplicates.with_hash > 0 {
        cards.push(("near copies", grouped(duplicates.near)));
    }
    let card = |(name, value): (&str, String)| {
        format!("<div class=\"card\"><b>{}</b><span>{}</span></div>", escape(&value), escape(name))
    };
    let cards: String = cards.into_iter().map(card).collect();
    format!("<div class=\"cards\">{cards}</div>\n")
}

/// Tables side by side; empty ones are left out.
fn columns<const N: usize>(tables: [Table; N]) -> String {
    let shown = tables.iter().filter(|table| !table.is_empty());
    let parts: String = shown.map(|table| format!("<div>{}</div>\n", table.html())).collect();
    if parts.is_empty() { parts } else { format!("<div class=\"columns\">\n{parts}</div>\n") }
}

fn bars(name: &str, spread: &Spread, edges: &[u64], unit: f64) -> Table {
    let mut table = Table::new([name, "pairs", ""]);
    if spread.count() == 0 {
        return table;
    }
    let counts = spread.between(edges);
    let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let edge = |at: usize| (edges[at] as f64 / unit).to_string();
    let label = |at: usize| match at {
        0 => format!("below {}", edge(0)),
        at if at == edges.len() => format!("{} and more", edge(at - 1)),
        at => format!("{} to {}", edge(at - 1), edge(at)),
    };
    let row = |(at, count): (usize, &u64)| {
        let width = 9.0 * *count as f64 / most;
        let share = percent(*count as f64 / spread.count() as f64);
        let bar = format!("<span class=\"bar\" style=\"width:{width:.2}rem\"></span> {share}");
        [
            label(at).into(),
            (*count).into(),
            Cell::Markup(format!("<div class=\"share\">{bar}</div>")),
        ]
    };
    // Bins beyond the smallest and the largest value say nothing.
    let first = counts.iter().position(|&count| count > 0).unwrap_or(0);
    let last = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
    table.extend(counts.iter().enumerate().take(last + 1).skip(first).map(row));
    table
}

/// The most frequent names, with their share of `of`.
fn top(name: &str, counts: &Counts, most: usize, of: u64) -> Table {
    let of = of.max(1) as f64;
    let mut table = Table::new([name, "pairs", "share"]);
    table.extend(counts.top(most).into_iter().map(|(name, count): (&str, u64)| {
        [name.into(), count.into(), Cell::Share(count as f64 / of)]
    }));
    table
}

fn queries(survey: &Survey, query: &dyn Fn(u32) -> String) -> Table {
    let mut table = Table::new(["query", "pairs"]);
    table.extend(survey.top_queries(20).into_iter().map(|(id, n)| [query(id).into(), n.into()]));
    table
}

/// A small JPEG of a stored image, as a URL; nothing when it cannot be decoded.
fn thumbnail_url(survey: &Survey, place: Place) -> Option<String> {
    image::thumbnail_url(&stored_image(&survey.shards, place)?, SIDE)
}

/// The sample as data, and the script that shows it.
fn gallery(survey: &Survey, query: &dyn Fn(u32) -> String) -> String {
    let shown = survey.shown();
    if shown.is_empty() {
        return String::new();
    }
    let images: Vec<Option<String>> = shown
        .par_iter()
        .map(|record| record.place.and_then(|place| thumbnail_url(survey, place)))
        .collect();
    let items = shown.iter().zip(images);
    let items: Vec<Value> =
        items.map(|(record, image)| item(survey, record, image, query)).collect();
    // A text may say `</script>`; within JSON the escaped sign means the same.
    let data = Value::Array(items).to_string().replace('<', "\\u003c");
    format!(
        "<form class=\"filters\" id=\"filters\">\n\
         <input type=\"search\" name=\"text\" placeholder=\"search captions, URLs, queries\" aria-label=\"search\">\n\
         <select name=\"language\" aria-label=\"language\"></select>\n\
         <select name=\"host\" aria-label=\"domain\"></select>\n\
         <select name=\"status\" aria-label=\"status\"></select>\n\
         <select name=\"overlap\" aria-label=\"copy of a set\"></select>\n\
         <label>side from <input type=\"number\" name=\"side\" min=\"0\" step=\"64\" value=\"0\"></label>\n\
         <select name=\"order\" aria-label=\"order\"><option value=\"\">corpus order</option>\
         <option value=\"long\">longest caption</option><option value=\"large\">largest image</option></select>\n\
         <output id=\"count\"></output></form>\n\
         <p class=\"about\" id=\"none\" hidden>no pair of the sample is like this</p>\n\
         <div class=\"grid\" id=\"grid\"></div>\n<button id=\"more\" type=\"button\">more</button>\n\
         <script type=\"application/json\" id=\"items\">{data}</script>\n<script>\n{SCRIPT}</script>\n"
    )
}

fn item(
    survey: &Survey,
    record: &Record,
    image: Option<String>,
    query: &dyn Fn(u32) -> String,
) -> Value {
    // The rarest say most about a pair.
    let mut queries = record.queries.clone();
    queries.sort_by_key(|id| (survey.queries.get(id), *id));
    let queries: Vec<String> = queries.into_iter().take(12).map(query).collect();
    let (width, height) = record.size.unwrap_or((0, 0));
    json!({
        "image": image, "caption": record.caption, "url": record.url, "host": host(&record.url),
        "uid": record.uid, "key": record.key, "language": record.language, "status": record.status,
        "source": record.source, "overlap": record.overlap, "queries": queries,
        "width": width, "height": height,
    })
}

fn clusters(survey: &Survey, duplicates: &Duplicates) -> String {
    let mut html = String::new();
    for (count, places) in duplicates.largest.iter().take(12) {
        let images: String = places
            .iter()
            .filter_map(|place| thumbnail_url(survey, *place))
            .map(|url| format!("<img alt=\"\" src=\"{url}\">"))
            .collect();
        if !images.is_empty() {
            html.push_str(&format!(
                "<div class=\"cluster\"><span>{} images</span>{images}</div>\n",
                grouped(*count)
            ));
        }
    }
    html
}
