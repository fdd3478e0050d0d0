//! Pages: the confusion of classes, images, plots.

use std::collections::HashMap;
use std::path::Path;

use clip_datasets::EvalSet;
use clip_eval::{ResultRecord, ZeroShot};
use clip_format::ImageFormat;
use clip_report::{Page, escape, image_tag, table};

use super::inputs::Model;
use super::plot::bars;
use super::{confusion::heat, results};

/// Images of each kind on a page.
const SHOWN: usize = 16;
/// Classes of the confusion that are drawn; of more, those that are mistaken most.
const CLASSES: usize = 40;

/// A share as percent, or a dash.
pub fn percent(value: Option<f64>) -> String {
    value.map_or("–".into(), |value| format!("{:.2}%", 100.0 * value))
}

/// The page of one zero-shot evaluation.
pub fn zero_shot(
    path: &Path,
    set: &EvalSet,
    result: &ZeroShot,
    model: &Model,
) -> anyhow::Result<()> {
    let mut page = Page::new(&format!("Zero-shot: {}", result.dataset));
    let facts = [
        ("dataset", result.dataset.clone()),
        ("protocol", result.protocol.to_owned()),
        ("model", model.name()),
        ("items", result.items.to_string()),
        ("unreadable", result.unreadable.len().to_string()),
        ("hash of the weights", model.hash.clone()),
        ("hash of the data", result.data_hash.clone()),
        ("hash of the prompts", result.prompts_hash.clone()),
    ];
    let rows: Vec<Vec<String>> =
        facts.iter().map(|(name, value)| vec![escape(name), escape(value)]).collect();
    page.section("What was evaluated", "", &table(&["", ""], &rows));
    let note = result.sample.note().map_or(String::new(), |note| format!("; {note}"));
    page.section(
        "Scores",
        &format!("{} is the metric of this set{note}", result.main_metric),
        &table(&["metric", "value"], &score_rows(result)),
    );
    if let Some(by_class) = &result.precision_by_class {
        let rows: Vec<Vec<String>> =
            by_class.iter().map(|(name, value)| vec![escape(name), percent(*value)]).collect();
        page.section(
            "Average precision by class",
            "",
            &table(&["class", "average precision"], &rows),
        );
    }
    if !result.predictions.is_empty() {
        page.section("By class", &confusion_about(result), &confusion(result));
        page.section(
            "Taken for another",
            "the pairs of classes that are mistaken most",
            &mistaken(result),
        );
        let (best, worst) = extremes(result);
        let images =
            images(set, best.iter().chain(&worst).map(|&at| result.predictions[at].key.as_str()))?;
        page.section("Surest and right", "", &image_grid(result, &best, &images));
        page.section("Surest and wrong", "", &image_grid(result, &worst, &images));
    }
    Ok(page.write(path)?)
}

/// The metric that counts in bold, a guess's value of it, then the other metrics.
fn score_rows(result: &ZeroShot) -> Vec<Vec<String>> {
    let value = |name: &str| percent(result.metrics.get(name).copied().flatten());
    let main = &result.main_metric;
    let mut rows = vec![
        vec![format!("<b>{}</b>", escape(main)), format!("<b>{}</b>", value(main))],
        vec![format!("chance ({})", escape(main)), percent(result.chance)],
    ];
    let others = result.metrics.keys().filter(|name| *name != main);
    rows.extend(others.map(|name| vec![escape(name), value(name)]));
    rows
}

fn confusion_about(result: &ZeroShot) -> String {
    let some = if result.classes > CLASSES {
        format!("; the {CLASSES} of {} classes that are mistaken most", result.classes)
    } else {
        String::new()
    };
    format!("cells are numbers of items; darker is a larger share of the true class{some}")
}

fn counts(result: &ZeroShot) -> HashMap<(usize, usize), u64> {
    let mut counts = HashMap::new();
    for p in &result.predictions {
        *counts.entry((p.label as usize, p.prediction as usize)).or_default() += 1;
    }
    counts
}

fn confusion(result: &ZeroShot) -> String {
    let counts = counts(result);
    let mut wrong = vec![0u64; result.classes];
    counts.iter().filter(|((a, b), _)| a != b).for_each(|((a, b), n)| {
        wrong[*a] += n;
        wrong[*b] += n;
    });
    let mut shown: Vec<usize> = (0..result.classes).collect();
    if shown.len() > CLASSES {
        shown.sort_by_key(|&class| std::cmp::Reverse(wrong[class]));
        shown.truncate(CLASSES);
        shown.sort_unstable();
    }
    let mut totals = vec![0u64; result.classes];
    result.predictions.iter().for_each(|p| totals[p.label as usize] += 1);
    let names: Vec<&str> = shown.iter().map(|&class| result.class_names[class].as_str()).collect();
    let of =
        |row: usize, column: usize| counts.get(&(shown[row], shown[column])).copied().unwrap_or(0);
    heat(&names, of, |row| totals[shown[row]])
}

fn mistaken(result: &ZeroShot) -> String {
    let mut pairs: Vec<((usize, usize), u64)> =
        counts(result).into_iter().filter(|((a, b), _)| a != b).collect();
    pairs.sort_by_key(|(pair, n)| (std::cmp::Reverse(*n), *pair));
    let name = |class: usize| escape(&result.class_names[class]);
    let rows: Vec<Vec<String>> =
        pairs.iter().take(20).map(|((a, b), n)| vec![name(*a), name(*b), n.to_string()]).collect();
    if rows.is_empty() { String::new() } else { table(&["class", "taken for", "items"], &rows) }
}

/// The surest right and the surest wrong items.
fn extremes(result: &ZeroShot) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..result.predictions.len()).collect();
    order.sort_by(|&a, &b| result.predictions[b].score.total_cmp(&result.predictions[a].score));
    let pick = |right: bool| {
        let of = order.iter().copied().filter(|&at| (result.predictions[at].rank == 0) == right);
        of.take(SHOWN).collect()
    };
    (pick(true), pick(false))
}

fn images<'a>(
    set: &EvalSet,
    keys: impl Iterator<Item = &'a str>,
) -> anyhow::Result<HashMap<String, Vec<u8>>> {
    let mut wanted: std::collections::HashSet<&str> = keys.collect();
    let mut found = HashMap::new();
    for item in set.items() {
        if wanted.is_empty() {
            break;
        }
        let item = item?;
        let key = item.video.clone().unwrap_or_else(|| item.key.clone());
        if wanted.remove(key.as_str()) {
            found.insert(key, item.image);
        }
    }
    Ok(found)
}

fn image_grid(result: &ZeroShot, items: &[usize], images: &HashMap<String, Vec<u8>>) -> String {
    let mut html = String::new();
    for &at in items {
        let p = &result.predictions[at];
        let Some(bytes) = images.get(&p.key) else { continue };
        // What not all browsers show is packed as PNG.
        let shown = match ImageFormat::sniff(bytes) {
            Some(ImageFormat::Pnm | ImageFormat::Tiff | ImageFormat::Jxl) => {
                let image = clip_image::decode(bytes, &clip_image::DecodeOptions::default()).ok();
                image
                    .and_then(|image| clip_image::encode_png(&image).ok())
                    .map(|png| image_tag(&png, "png"))
            }
            format => format.map(|format| image_tag(bytes, format.extension())),
        };
        let Some(shown) = shown else { continue };
        let (own, found) =
            (&result.class_names[p.label as usize], &result.class_names[p.prediction as usize]);
        html.push_str(&format!(
            "<figure>{shown}<figcaption>{}{} · {:.3}</figcaption></figure>\n",
            escape(own),
            if p.rank == 0 { String::new() } else { format!(" → {}", escape(found)) },
            p.score
        ));
    }
    if html.is_empty() { html } else { format!("<div class=\"grid\">\n{html}</div>\n") }
}

/// The page of a suite.
pub fn suite(path: &Path, results: &[ResultRecord]) -> anyhow::Result<()> {
    let mut page = Page::new("Evaluation suite");
    let word = |text: &Option<String>| escape(text.as_deref().unwrap_or("–"));
    let labels = results::labels(results);
    let rows: Vec<Vec<String>> = results
        .iter()
        .zip(&labels)
        .map(|(d, label)| {
            let all = d.all.as_ref().filter(|_| d.main_metric.as_deref() == Some("acc1"));
            let interval = all.map_or(String::new(), |all| {
                format!(" [{}, {}]", percent(Some(all.acc1.low)), percent(Some(all.acc1.high)))
            });
            vec![
                escape(label),
                word(&d.dataset) + &escape(&results::subset(d)),
                word(&d.protocol),
                word(&d.main_metric),
                format!("<b>{}</b>{interval}", percent(d.main_value())),
                percent(d.chance),
                d.unreadable.len().to_string(),
                word(&d.contamination),
            ]
        })
        .collect();
    let head = [
        "model",
        "dataset",
        "protocol",
        "metric",
        "value [99.5% interval]",
        "chance",
        "unreadable",
        "contamination",
    ];
    page.section("Scores", "", &table(&head, &rows));
    let several = labels.iter().any(|label| *label != labels[0]);
    let above: Vec<(String, f64)> = results
        .iter()
        .zip(&labels)
        .filter_map(|(d, label)| {
            let model = if several { format!(" · {label}") } else { String::new() };
            Some((
                format!("{}{model}", d.dataset.as_deref()?),
                d.main_value()? - d.chance.unwrap_or(0.0),
            ))
        })
        .collect();
    page.section("Above chance", "points of the metric", &bars(&above));
    Ok(page.write(path)?)
}
