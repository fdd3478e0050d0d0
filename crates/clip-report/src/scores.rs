//! What a model scored.

use std::path::Path;

use serde::Deserialize;

use crate::error::json;
use crate::markup::percent;
use crate::{Cell, Result, Section, Table};

/// The fields of a result file that are shown.
#[derive(Deserialize)]
struct Scored {
    dataset: Option<String>,
    classes: Option<u64>,
    chance: Option<f64>,
    all: Option<Accuracies>,
    clean: Option<Accuracies>,
    overlap: Option<Accuracies>,
}

#[derive(Deserialize)]
struct Accuracies {
    acc1: Option<Accuracy>,
    acc5: Option<Accuracy>,
    mean_per_class_recall: Option<f64>,
}

#[derive(Deserialize)]
struct Accuracy {
    n: u64,
    value: f64,
    low: f64,
    high: f64,
}

/// The scores of an evaluation, from the JSON of `clip-data eval --out`.
///
/// # Errors
/// When the file is no such result.
pub fn scores(path: &Path) -> Result<Section> {
    let scored: Scored = json(path)?;
    let cell = |accuracy: &Option<Accuracy>| match accuracy {
        Some(Accuracy { value, low, high, .. }) => Cell::Markup(format!(
            "<b>{}</b> [{}, {}]",
            percent(*value),
            percent(*low),
            percent(*high)
        )),
        None => "–".into(),
    };
    let mut table = Table::new(["items", "n", "top-1", "top-5", "per class"]);
    let parts = [("All", scored.all), ("Clean", scored.clean), ("Overlap", scored.overlap)];
    for (name, part) in parts.into_iter().filter_map(|(name, part)| Some((name, part?))) {
        table.push([
            name.into(),
            part.acc1.as_ref().map_or(0, |accuracy| accuracy.n).into(),
            cell(&part.acc1),
            cell(&part.acc5),
            part.mean_per_class_recall.map_or("–".into(), Cell::Share),
        ]);
    }
    let name = scored.dataset.as_deref().unwrap_or("?");
    let classes = crate::markup::grouped(scored.classes.unwrap_or(0));
    let chance = 100.0 * scored.chance.unwrap_or(0.0);
    let about = "Accuracy with 99.5% Clopper-Pearson intervals: on all items, on those that the corpus does \
                 not hold (Clean), and on those that it does (Overlap).";
    Ok(Section::new("Zero-shot transfer", about)
        .text(&format!("{name}: {classes} classes, chance {chance:.2}%"))
        .table(&table))
}
