//! A report on contamination: pairs to accept or reject, and what a threshold means.

use std::collections::HashSet;
use std::path::Path;

use clip_overlap::{HitKind, Match, SetDecision, SetReport, Verdict};
use clip_report::{
    Axis, Cell, Line, Scale, Section, Table, escape, grouped, line_chart, percent, percent_fine,
};
use serde_json::json;

use crate::http::{Fields, Reply, Request, link};
use crate::page::{anchor, outer, page};
use crate::review::{Effect, Review};
use crate::state::{State, name_of};
use crate::{Error, Result};

/// Pairs of a page.
const PAIRS: usize = 40;
/// Thresholds that the curve has, from the lowest score to 1.
const CURVE: u8 = 50;
/// Share of accepted pairs that a threshold is proposed for.
const PRECISION: f64 = 0.95;
/// Seconds for which a browser keeps an image.
const KEPT: u32 = 3600;

/// The pairs of a set about a threshold, with its effect.
pub(crate) fn contamination(state: &State, request: &Request) -> Result<Reply> {
    let folder = state.path(request)?;
    let (query, review) = (&request.query, Review::open(&folder)?);
    let of = query.need("of")?;
    let first = review.report.sets.first();
    let name = query.get("set").or(first.map(|set| set.name.as_str()));
    let name = name.ok_or_else(|| Error::absent("an evaluation set"))?;
    let set = review.set(name)?;
    let stored = state.decisions.read(&folder)?.set(name);
    let saved = stored.threshold.unwrap_or(set.threshold);
    let threshold = query.number::<f32>("threshold")?.filter(|t| t.is_finite()).unwrap_or(saved);
    let threshold = threshold.clamp(0.0, 1.0);
    let decision = SetDecision { threshold: Some(threshold), marks: stored.marks };
    let mut body = String::new();
    if review.report.sets.len() > 1 {
        let tabs = review.report.sets.iter().map(|other| {
            if other.name == name {
                return format!("<a aria-current=\"page\">{}</a>", escape(name));
            }
            anchor("/contamination", &[("of", of), ("set", &other.name)], &other.name)
        });
        body.push_str(&format!("<p class=\"tabs\">{}</p>\n", tabs.collect::<Vec<_>>().join(" ")));
    }
    let file = state.decisions.path(&folder);
    let of_saved =
        if stored.threshold.is_some() { "as it is stored" } else { "as the report has it" };
    body.push_str(&effect(&review, set, &decision, (saved, of_saved), of, &file)?);
    body.push_str(&pairs(&review, set, &decision, query, state.sets.contains_key(name)));
    let others = marks_elsewhere(&review, set, &decision, query);
    if !others.is_empty() {
        body.push_str(&others.html());
    }
    Ok(page(&format!("{name} in {}", name_of(&folder)), &body))
}

/// The threshold with what it means, and a form that moves it.
fn effect(
    review: &Review,
    set: &SetReport,
    decision: &SetDecision,
    (saved, of_saved): (f32, &str),
    of: &str,
    file: &Path,
) -> Result<String> {
    let threshold = decision.threshold.unwrap_or(saved);
    let now = review.effect(set, decision)?;
    let before = review.effect(set, &SetDecision { threshold: Some(saved), ..decision.clone() })?;
    let mut table = Table::new([
        "",
        "items with a copy",
        "of",
        "removed",
        "in the corpus [99.5% interval]",
        "images",
        "accepted of marked pairs",
    ]);
    table.push(row(&format!("at {threshold:.3}"), &now));
    if (threshold - saved).abs() > f32::EPSILON {
        table.push(row(&format!("at {saved:.3}, {of_saved}"), &before));
    }
    let floor = review.floor(&set.name);
    let mut points = Vec::new();
    for step in 0..=CURVE {
        let at = floor + (1.0 - floor) * f32::from(step) / f32::from(CURVE);
        let moved = SetDecision { threshold: Some(at), ..decision.clone() };
        points.push((f64::from(at), review.effect(set, &moved)?.items.0 as f64));
    }
    let chart = line_chart(
        &[Line { name: "items with a copy".into(), points }],
        Axis { name: "threshold", scale: Scale::Linear },
        Axis { name: "items", scale: Scale::Linear },
    );
    let proposed = match decision.calibrated(PRECISION) {
        Ok(proposed) => {
            let value = format!("{proposed:.4}");
            let fields = [("of", of), ("set", set.name.as_str()), ("threshold", &value)];
            format!(
                "By the marks, {} of the pairs from {} on are accepted.",
                percent(PRECISION),
                anchor("/contamination", &fields, &value)
            )
        }
        Err(why) => escape(&format!("No threshold is proposed: {why}.")),
    };
    let fields = format!(
        "<input type=\"hidden\" name=\"of\" value=\"{}\"><input type=\"hidden\" name=\"set\" value=\"{}\">",
        escape(of),
        escape(&set.name)
    );
    // A threshold below every score is on the slider, too.
    let least = (floor.min(threshold) * 1000.0).floor() / 1000.0;
    let form = if least >= 1.0 {
        "<p>Every pair is the same file or has a score of 1: there is no threshold to choose.</p>\n"
            .to_owned()
    } else {
        format!(
            "<div class=\"filters\"><form action=\"/contamination\" id=\"threshold\">{fields}<label>threshold \
         <input type=\"range\" name=\"threshold\" min=\"{least:.3}\" max=\"1\" step=\"0.001\" value=\"{threshold}\" \
         aria-label=\"least score of a copy\"></label> <output>{threshold:.3}</output> <button>show</button></form>\n\
         <form action=\"/decide\" method=\"post\">{fields}<input type=\"hidden\" name=\"threshold\" value=\"{threshold}\">\
         <button>store this threshold</button></form></div>\n"
        )
    };
    let about = format!(
        "From which score on a pair counts as a copy, and which items of {} have one then. No pair below {least:.3} \
         was recorded. Marks overrule the threshold. Both are stored in {}: `clip-data contamination --decisions` reads that \
         file, and a build does where its pipeline names it as `decisions` under [check].",
        set.name,
        file.display()
    );
    let section = Section::new("Threshold", about).markup(&form);
    let inner = Section::new("", "").table(&table).markup(&format!("<p>{proposed}</p>\n{chart}"));
    // The part that follows marks and the slider.
    let inner = inner.html().replace("<h2></h2>\n<p class=\"about\"></p>\n", "");
    Ok(section.html() + &format!("<div id=\"effect\">\n{inner}</div>\n"))
}

fn row(name: &str, effect: &Effect) -> [Cell; 7] {
    let (rate, low, high) = effect.rate;
    let (accepted, marked) = effect.accepted;
    [
        name.into(),
        effect.items.0.into(),
        effect.items.1.into(),
        effect.removed.into(),
        format!("{} [{}, {}]", percent_fine(rate), percent_fine(low), percent_fine(high)).into(),
        effect.images.into(),
        format!("{} of {}", grouped(accepted), grouped(marked)).into(),
    ]
}

/// The pairs of a page, from the most alike to the least; without one, those about the threshold.
fn pairs(
    review: &Review,
    set: &SetReport,
    decision: &SetDecision,
    query: &Fields,
    has_items: bool,
) -> String {
    let rule = decision.rule();
    let mut all = review.of_set(&set.name);
    // The same bytes need no look.
    let exact = all.len();
    all.retain(|pair| pair.kind != HitKind::Exact);
    let exact = exact - all.len();
    let border = all.partition_point(|pair| rule.reaches(pair.score));
    let from = query.number("from").ok().flatten();
    let about_border = if all.len() > PAIRS { border.saturating_sub(PAIRS / 2) } else { 0 };
    let from: usize = from.unwrap_or(about_border).min(all.len());
    let shown = &all[from..all.len().min(from + PAIRS)];
    let mut html = format!(
        "<section><h2>Pairs</h2><p class=\"about\">The evaluation item on the left, the corpus on the right. Keys: \
         a accepts (the same image), r rejects (another image), u takes a mark back; arrows move. The first of them goes to the first pair without a mark.</p>\n\
         <p class=\"tools\"><span id=\"count\">{} to {} of {} pairs</span> <span id=\"marked\">{} marked</span> <span id=\"saved\" role=\"status\"></span></p>\n",
        grouped((from + 1).min(all.len()) as u64),
        grouped((from + shown.len()) as u64),
        grouped(all.len() as u64),
        grouped(decision.marks.len() as u64)
    );
    if exact > 0 {
        html.push_str(&format!(
            "<p class=\"about\">{} more with the bytes of an item are copies, and are not listed here.</p>\n",
            grouped(exact as u64)
        ));
    }
    if !has_items {
        html.push_str(&format!(
            "<p class=\"fault\">The items of {0} are not shown: start `clip-data serve` with --eval {0}=PATH.</p>\n",
            escape(&set.name)
        ));
    }
    html.push_str("<div class=\"grid pairs\">\n");
    for (at, pair) in shown.iter().enumerate() {
        if from + at == border && at > 0 {
            html.push_str(&format!(
                "</div>\n<p class=\"about\">Below the threshold of {:.3}:</p>\n<div class=\"grid pairs\">\n",
                rule.threshold()
            ));
        }
        html.push_str(&figure(pair, rule.verdict(&pair.key, &pair.id), query, has_items));
    }
    html.push_str("</div>\n<p class=\"pager\">");
    let to = |name: &str, rel: &str, from: usize| {
        let from = from.to_string();
        let href = link_with(query, &[("from", &from)]);
        format!("<a rel=\"{rel}\" href=\"{href}\">{name}</a> ")
    };
    if from > 0 {
        html.push_str(&to("more alike", "prev", from.saturating_sub(PAIRS)));
    }
    if from + PAIRS < all.len() {
        html.push_str(&to("less alike", "next", from + PAIRS));
    }
    html + "</p></section>\n"
}

/// Marks of pairs that the report has not, or has as the same file: a build has left out the image,
/// or the pair is below what is recorded by now.
fn marks_elsewhere(
    review: &Review,
    set: &SetReport,
    decision: &SetDecision,
    query: &Fields,
) -> Section {
    let of_set = review.pairs.iter().filter(|pair| pair.set == set.name);
    let shown: HashSet<(&str, &str)> =
        of_set.filter(|p| p.kind != HitKind::Exact).map(|p| (&*p.key, &*p.id)).collect();
    let about = "Of pairs that are not listed above: by them, or since, their images were left out. \
                 A mark counts in each build and report until it is taken back.";
    let mut list = String::new();
    for mark in &decision.marks {
        if shown.contains(&(&*mark.key, &*mark.id)) {
            continue;
        }
        let score = mark.score.to_string();
        let fields = decide_fields(query, (&set.name, &mark.key, &mark.id, &score));
        list.push_str(&format!(
            "<li><form method=\"post\" action=\"/decide\">{fields}{} · {}: {}ed, score {:.3} \
             <button name=\"verdict\" value=\"none\">take back</button></form></li>\n",
            escape(&mark.key),
            escape(&mark.id),
            mark.verdict.name(),
            mark.score
        ));
    }
    let section = Section::new("Other marks", about);
    if list.is_empty() { section } else { section.markup(&format!("<ul>\n{list}</ul>\n")) }
}

/// The fields of a form for `/decide` about a pair: set, key, id and score.
fn decide_fields(query: &Fields, (set, key, id, score): (&str, &str, &str, &str)) -> String {
    let (of, back) = (query.get("of").unwrap_or_default(), link_query(query));
    let fields =
        [("of", of), ("set", set), ("key", key), ("id", id), ("score", score), ("back", &back)];
    let hidden = |(name, value): (&str, &str)| {
        format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value))
    };
    fields.into_iter().map(hidden).collect()
}

fn link_with(query: &Fields, changes: &[(&str, &str)]) -> String {
    escape(&format!("/contamination?{}", query.with(changes)))
}

fn figure(pair: &Match, verdict: Option<Verdict>, query: &Fields, has_item: bool) -> String {
    let of = query.get("of").unwrap_or_default();
    let verdict = verdict.map_or("", Verdict::name);
    let image = |fields: &[(&str, &str)], alt: &str| {
        let url = escape(&link("/contamination/image", fields));
        format!("<img loading=\"lazy\" alt=\"{alt}\" src=\"{url}\">")
    };
    let item = if has_item {
        image(&[("of", of), ("set", &pair.set), ("key", &pair.key)], "the evaluation item")
    } else {
        "<div class=\"none\">not shown</div>".to_owned()
    };
    let copy = image(&[("of", of), ("place", &pair.place), ("id", &pair.id)], "the corpus");
    let source = if pair.url.is_empty() {
        format!("{} {}", escape(&pair.place), escape(&pair.id))
    } else {
        outer(&pair.url)
    };
    let score = pair.score.to_string();
    let fields = decide_fields(query, (&pair.set, &pair.key, &pair.id, &score));
    format!(
        "<figure class=\"mark\" tabindex=\"0\" data-verdict=\"{verdict}\"><div class=\"pair\">{item}{copy}</div>\
         <figcaption><b>{:.3}</b> {} · {}<br>{source}<br><span class=\"caption\">{}</span>\
         <form method=\"post\" action=\"/decide\">{fields}<button name=\"verdict\" value=\"accept\">accept</button> \
         <button name=\"verdict\" value=\"reject\">reject</button> \
         <button name=\"verdict\" value=\"none\">take back</button></form></figcaption></figure>\n",
        pair.score,
        pair.kind.name(),
        escape(&pair.key),
        escape(&pair.caption)
    )
}

fn link_query(query: &Fields) -> String {
    query.with(&[])
}

/// Stores a mark or a threshold, then shows the page again; to a script it says what is stored.
pub(crate) fn decide(state: &State, request: &Request) -> Result<Reply> {
    let form = request.form();
    let of = form.need("of")?;
    let folder = state.roots.resolve(of)?;
    let review = Review::open(&folder)?;
    let set = review.set(form.need("set")?)?;
    let back = if let Some(threshold) = form.number::<f32>("threshold")? {
        if !(0.0..=1.0).contains(&threshold) {
            return Err(Error::BadRequest(format!("threshold: {threshold} is not from 0 to 1")));
        }
        state.decisions.threshold(&folder, &set.name, threshold)?;
        Fields::default().with(&[("of", of), ("set", &set.name)])
    } else {
        let (key, id) = (form.need("key")?, form.need("id")?);
        let verdict = match form.need("verdict")? {
            "accept" => Some(Verdict::Accept),
            "reject" => Some(Verdict::Reject),
            "none" => None,
            other => return Err(Error::BadRequest(format!("verdict: {other:?}"))),
        };
        let known = review.pairs.iter().find(|p| p.set == set.name && p.key == key && p.id == id);
        let score = match (known, verdict) {
            (Some(pair), _) => pair.score,
            // A mark can be taken back whatever the report has by now.
            (None, None) => 0.0,
            (None, Some(_)) => return Err(Error::absent(format!("a pair {key:?} {id:?}"))),
        };
        state.decisions.mark(&folder, &set.name, (key, id, score), verdict)?;
        form.get("back").map_or_else(|| Fields::default().with(&[("of", of)]), str::to_owned)
    };
    if request.headers.get("accept").is_some_and(|accept| accept == "application/json") {
        let marks = state.decisions.read(&folder)?.set(&set.name).marks.len();
        return Ok(Reply::json(&json!({"marks": marks})));
    }
    Ok(Reply::see_other(format!("/contamination?{back}")))
}

/// The image of an evaluation item, or of the corpus.
pub(crate) fn pair_image(state: &State, request: &Request) -> Result<Reply> {
    let (folder, query) = (state.path(request)?, &request.query);
    let bytes = match query.get("key") {
        Some(key) => state.item_image(&folder, query.need("set")?, key)?,
        None => state.copy_image(&folder, query.need("place")?, query.need("id")?)?,
    };
    Ok(super::rows::image_reply(bytes.as_deref(), KEPT))
}
