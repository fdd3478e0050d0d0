//! What a model scored.

use std::path::Path;

use serde_json::Value;

use crate::Result;
use crate::error::json;
use crate::page::{escape, grouped, percent, table};

/// The scores of an evaluation, from the JSON of `clip-data eval --out`.
pub fn scores(path: &Path) -> Result<String> {
    let document = json(path)?;
    let cell = |accuracy: &Value| {
        let number = |key: &str| accuracy[key].as_f64();
        match (number("value"), number("low"), number("high")) {
            (Some(value), Some(low), Some(high)) => {
                format!("<b>{}</b> [{}, {}]", percent(value), percent(low), percent(high))
            }
            _ => "–".into(),
        }
    };
    let mut rows = Vec::new();
    for (name, key) in [("All", "all"), ("Clean", "clean"), ("Overlap", "overlap")] {
        let scores = &document[key];
        if scores.is_object() {
            rows.push(vec![
                name.to_owned(),
                grouped(scores["acc1"]["n"].as_u64().unwrap_or(0)),
                cell(&scores["acc1"]),
                cell(&scores["acc5"]),
                percent(scores["mean_per_class_recall"].as_f64().unwrap_or(0.0)),
            ]);
        }
    }
    let name = escape(document["dataset"].as_str().unwrap_or("?"));
    let classes = grouped(document["classes"].as_u64().unwrap_or(0));
    let chance = 100.0 * document["chance"].as_f64().unwrap_or(0.0);
    let head = format!("<p>{name}: {classes} classes, chance {chance:.2}%</p>\n");
    Ok(head + &table(&["items", "n", "top-1", "top-5", "per class"], &rows))
}
