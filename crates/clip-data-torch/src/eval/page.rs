//! Pages: the confusion of classes, images, plots.

use std::collections::HashMap;
use std::path::Path;

use clip_datasets::EvalSet;
use clip_eval::{ResultRecord, ZeroShot};
use clip_report::{Cell, Page, Section, Table, escape, image_tag};

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
    let facts = Table::of_facts(facts.map(|(name, value)| (name, Cell::Text(value))));
    page.add(&Section::new("What was evaluated", "").table(&facts));
    let note = result.sample.note().map_or(String::new(), |note| format!("; {note}"));
    let about = format!("{} is the metric of this set{note}", result.main_metric);
    page.add(&Section::new("Scores", about).table(&score_table(result)));
    if let Some(by_class) = &result.precision_by_class {
        let mut table = Table::new(["class", "average precision"]);
        table.extend(
            by_class.iter().map(|(name, value)| [name.as_str().into(), percent(*value).into()]),
        );
        page.add(&Section::new("Average precision by class", "").table(&table));
    }
    if !result.predictions.is_empty() {
        page.add(&Section::new("By class", confusion_about(result)).markup(&confusion(result)));
        let about = "the pairs of classes that are mistaken most";
        page.add(&Section::new("Taken for another", about).table(&mistaken(result)));
        let (best, worst) = extremes(result);
        let images =
            images(set, best.iter().chain(&worst).map(|&at| result.predictions[at].key.as_str()))?;
        for (title, items) in [("Surest and right", best), ("Surest and wrong", worst)] {
            page.add(&Section::new(title, "").images(&figures(result, &items, &images)));
        }
    }
    Ok(page.write(path)?)
}

/// The metric that counts in bold, a guess's value of it, then the other metrics.
fn score_table(result: &ZeroShot) -> Table {
    let value = |name: &str| percent(result.metrics.get(name).copied().flatten());
    let main = &result.main_metric;
    let bold = |text: &str| Cell::Markup(format!("<b>{}</b>", escape(text)));
    let mut table = Table::new(["metric", "value"]);
    table.push([bold(main), bold(&value(main))]);
    table.push([format!("chance ({main})").into(), percent(result.chance).into()]);
    let others = result.metrics.keys().filter(|name| *name != main);
    table.extend(others.map(|name| [name.as_str().into(), value(name).into()]));
    table
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

fn mistaken(result: &ZeroShot) -> Table {
    let mut pairs: Vec<((usize, usize), u64)> =
        counts(result).into_iter().filter(|((a, b), _)| a != b).collect();
    pairs.sort_by_key(|(pair, n)| (std::cmp::Reverse(*n), *pair));
    let name = |class: usize| Cell::from(result.class_names[class].as_str());
    let mut table = Table::new(["class", "taken for", "items"]);
    table.extend(pairs.iter().take(20).map(|((a, b), n)| [name(*a), name(*b), (*n).into()]));
    table
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

/// The images of some items, each with its class, what it was taken for, and the score.
fn figures(result: &ZeroShot, items: &[usize], images: &HashMap<String, Vec<u8>>) -> String {
    let figure = |&at: &usize| {
        let p = &result.predictions[at];
        let image = image_tag(images.get(&p.key)?);
        let name = |class: u32| escape(&result.class_names[class as usize]);
        let found =
            if p.rank == 0 { String::new() } else { format!(" → {}", name(p.prediction)) };
        let (own, score) = (name(p.label), p.score);
        Some(format!(
            "<figure>{image}<figcaption>{own}{found} · {score:.3}</figcaption></figure>\n"
        ))
    };
    items.iter().filter_map(figure).collect()
}

/// The page of a suite.
pub fn suite(path: &Path, results: &[ResultRecord]) -> anyhow::Result<()> {
    let mut page = Page::new("Evaluation suite");
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
    let labels = results::labels(results);
    let rows = results.iter().zip(&labels).map(|(d, label)| {
        let all = d.all.as_ref().filter(|_| d.main_metric.as_deref() == Some("acc1"));
        let interval = all.map_or(String::new(), |all| {
            format!(" [{}, {}]", percent(Some(all.acc1.low)), percent(Some(all.acc1.high)))
        });
        [
            label.as_str().into(),
            (word(&d.dataset) + &results::subset(d)).into(),
            word(&d.protocol).into(),
            word(&d.main_metric).into(),
            Cell::Markup(format!("<b>{}</b>{interval}", percent(d.main_value()))),
            percent(d.chance).into(),
            percent(results::split(d)[0]).into(),
            percent(results::split(d)[1]).into(),
            (d.unreadable.len() as u64).into(),
            word(&d.contamination).into(),
        ]
    });
    let mut table = Table::new([
        "model",
        "dataset",
        "protocol",
        "metric",
        "value [99.5% interval]",
        "chance",
        "top-1, clean",
        "top-1, overlap",
        "unreadable",
        "contamination",
    ]);
    table.extend(rows);
    page.add(&Section::new("Scores", "").table(&table));
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
    page.add(&Section::new("Above chance", "points of the metric").markup(&bars(&above)));
    Ok(page.write(path)?)
}
