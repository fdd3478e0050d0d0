//! What a model scored.

use std::path::Path;

use serde::Deserialize;

use crate::error::json;
use crate::markup::percent;
use crate::{Cell, Error, Result, Section, Table};

/// The fields of a result file that are shown.
#[derive(Deserialize)]
struct Scored {
    dataset: Option<String>,
    classes: Option<u64>,
    chance: Option<f64>,
    /// Items that were scored, and where they were limited, those of the set.
    items: Option<u64>,
    items_total: Option<u64>,
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
    let scored: Scored = json(path).map_err(|error| match error {
        Error::File(error) => Error::file(
            &error.path,
            format!(
                "{}\nhint: the file that `clip-data eval … --out` wrote is wanted",
                error.reason
            ),
        ),
        other => other,
    })?;
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
    let limited = match (scored.items, scored.items_total) {
        (Some(items), Some(total)) if items < total => {
            let (items, total) = (crate::markup::grouped(items), crate::markup::grouped(total));
            format!(". --limit: these are scores of {items} of its {total} items")
        }
        _ => String::new(),
    };
    let about = "Accuracy with 99.5% Clopper-Pearson intervals: on all items, on those that the corpus does \
                 not hold (Clean), and on those that it does (Overlap).";
    Ok(Section::new("Zero-shot transfer", about)
        .text(&format!("{name}: {classes} classes, chance {chance:.2}%{limited}"))
        .table(&table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_set_and_another_file_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let page = |text: &str| {
            let path = dir.path().join("scores.json");
            std::fs::write(&path, text).unwrap();
            scores(&path).map(|section| section.html())
        };
        let all = r#""dataset": "cifar10", "classes": 10, "chance": 0.1, "items": 500"#;
        let part = page(&format!("{{{all}, \"items_total\": 10000}}")).unwrap();
        assert!(part.contains("scores of 500 of its 10,000 items"), "{part}");
        let whole = page(&format!("{{{all}, \"items_total\": 500}}")).unwrap();
        assert!(!whole.contains("--limit"), "{whole}");
        let error = page("PAR1").unwrap_err().to_string();
        assert!(error.contains("\nhint: the file that `clip-data eval"), "{error}");
    }
}
