//! The page on which a corpus can be looked through, from a file, without a server.

use clip_image::{DecodeOptions, Filter, decode, encode_jpeg, resize};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::read::image;
use super::text::{ASPECTS, CHARS, SIDES, WORDS};
use super::{Counts, Duplicates, Place, Record, Spread, Survey, host};
use crate::Page;
use crate::page::{data_address, escape, grouped, percent, table};

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
    page.section("In short", "", &cards(survey, duplicates));
    page.section(
        "Pairs",
        "A sample drawn by the pairs' names: the same corpus shows the same pairs. Search and filters act on it.",
        &gallery(survey, query),
    );
    let about = "Lengths of captions; CLIP reads at most 77 tokens, some 50 to 60 words.";
    let captions =
        [bars("characters", &survey.chars, &CHARS, 1.0), bars("words", &survey.words, &WORDS, 1.0)];
    page.section("Captions", about, &columns(&captions));
    let images = [
        bars("shorter side, pixels", &survey.sides, &SIDES, 1.0),
        bars("width / height", &survey.aspects, &ASPECTS, 100.0),
    ];
    page.section("Images", "Sizes as they are stored.", &columns(&images));
    let tops = [
        top("domain", &survey.domains, 20, survey.domains.total()),
        queries(survey, query),
        top("language", &survey.languages, 12, survey.languages.total()),
        top("caption from", &survey.sources, 12, survey.sources.total()),
        top("format", &survey.formats, 8, survey.formats.total()),
        top("status", &survey.statuses, 12, survey.statuses.total()),
        top("copy of", &survey.overlaps, 12, survey.pairs),
    ];
    page.section("Where they come from", "The most frequent of each kind.", &columns(&tops));
    let about = "The largest groups of images whose perceptual hashes are near.";
    page.section("Near copies", about, &clusters(survey, duplicates));
    let damaged: Vec<_> = survey.damaged.iter().map(|text| vec![escape(text)]).collect();
    if !damaged.is_empty() {
        page.section("Damaged files", "Read as far as they go.", &table(&["file"], &damaged));
    }
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

/// Sections side by side; empty ones are left out.
fn columns(parts: &[String]) -> String {
    let parts: String =
        parts.iter().filter(|p| !p.is_empty()).map(|p| format!("<div>{p}</div>\n")).collect();
    if parts.is_empty() { parts } else { format!("<div class=\"columns\">\n{parts}</div>\n") }
}

fn bars(name: &str, spread: &Spread, edges: &[u64], unit: f64) -> String {
    if spread.count() == 0 {
        return String::new();
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
        vec![escape(&label(at)), grouped(*count), format!("<div class=\"share\">{bar}</div>")]
    };
    // Bins beyond the smallest and the largest value say nothing.
    let first = counts.iter().position(|&count| count > 0).unwrap_or(0);
    let last = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
    let rows: Vec<_> = counts.iter().enumerate().take(last + 1).skip(first).map(row).collect();
    table(&[name, "pairs", ""], &rows)
}

/// The most frequent names, with their share of `of`.
fn top(name: &str, counts: &Counts, most: usize, of: u64) -> String {
    if counts.is_empty() {
        return String::new();
    }
    let of = of.max(1) as f64;
    let row =
        |(name, count): (&str, u64)| vec![escape(name), grouped(count), percent(count as f64 / of)];
    let rows: Vec<_> = counts.top(most).into_iter().map(row).collect();
    table(&[name, "pairs", "share"], &rows)
}

fn queries(survey: &Survey, query: &dyn Fn(u32) -> String) -> String {
    if survey.queries.is_empty() {
        return String::new();
    }
    let rows = survey.top_queries(20).into_iter();
    let rows: Vec<_> = rows.map(|(id, count)| vec![escape(&query(id)), grouped(count)]).collect();
    table(&["query", "pairs"], &rows)
}

/// A small JPEG of a stored image, as an address; nothing when it cannot be decoded.
fn thumbnail_url(survey: &Survey, place: Place) -> Option<String> {
    let bytes = image(&survey.shards, place)?;
    let options = DecodeOptions { min_side: Some(SIDE), ..Default::default() };
    let image = decode(&bytes, &options).ok()?;
    let longer = image.width.max(image.height);
    // In 64 bits: a thin image has sides of millions.
    let scaled = |side: u32| (u64::from(side) * u64::from(SIDE) / u64::from(longer)).max(1) as u32;
    let small = if longer > SIDE {
        resize(&image, scaled(image.width), scaled(image.height), Filter::Area)
    } else {
        image
    };
    Some(data_address(&encode_jpeg(&small, 80).ok()?, "jpg"))
}

/// The sample as data, and the script that shows it.
fn gallery(survey: &Survey, query: &dyn Fn(u32) -> String) -> String {
    let shown = survey.shown();
    if shown.is_empty() {
        return String::new();
    }
    let pictures: Vec<Option<String>> = shown
        .par_iter()
        .map(|record| record.place.and_then(|place| thumbnail_url(survey, place)))
        .collect();
    let items = shown.iter().zip(pictures);
    let items: Vec<Value> =
        items.map(|(record, image)| item(survey, record, image, query)).collect();
    // A text may say `</script>`; within JSON the escaped sign means the same.
    let data = Value::Array(items).to_string().replace('<', "\\u003c");
    format!(
        "<form class=\"filters\" id=\"filters\">\n\
         <input type=\"search\" name=\"text\" placeholder=\"search captions, addresses, queries\" aria-label=\"search\">\n\
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
            .map(|address| format!("<img alt=\"\" src=\"{address}\">"))
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
