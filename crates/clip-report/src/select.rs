//! What a selection did: the funnel of its gates, values on both sides of each cut, and images
//! there.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

use crate::Result;
use crate::chart::histogram;
use crate::copies::Images;
use crate::error::json;
use crate::markup::{escape, grouped};
use crate::near::{Pair, SHOWN, figures, names};
use crate::table::table;

/// The account of a selection by columns or embeddings, from its JSON; `images` holds those of its
/// rows that can be shown.
///
/// # Errors
/// When the account cannot be read.
pub fn select(path: &Path, images: &Images) -> Result<String> {
    let account: Value = json(path)?;
    let number = |value: &Value| grouped(value.as_u64().unwrap_or(0));
    let mut rows = Vec::new();
    let mut below = String::new();
    for gate in account["gates"].as_array().into_iter().flatten() {
        let name = escape(gate["gate"].as_str().unwrap_or_default());
        let cut = gate["cut"].as_f64();
        rows.push(vec![
            name.clone(),
            number(&gate["pairs"]),
            number(&gate["dropped"]),
            number(&gate["missing"]),
            number(&gate["nan"]),
            cut.map_or_else(String::new, |cut| cut.to_string()),
        ]);
        let chart = chart(&gate["histogram"], cut);
        let sides = sides(&gate["near"], images);
        if !(chart.is_empty() && sides.is_empty()) {
            below.push_str(&format!("<h3>{name}</h3>\n{chart}{sides}"));
        }
    }
    let sum = format!(
        "<p>{} of {} pairs are kept.</p>\n",
        number(&account["kept"]),
        number(&account["pairs"])
    );
    Ok(sum + &table(&["gate", "pairs", "dropped", "null", "NaN", "cut"], &rows) + &below)
}

/// The rows that the section shows, by place and name as [`crate::stored`] wants them.
///
/// # Errors
/// When the account cannot be read.
pub fn rows_near_cuts(path: &Path) -> Result<HashSet<(String, String)>> {
    let account: Value = json(path)?;
    let gates = account["gates"].as_array().into_iter().flatten();
    let pairs = gates.flat_map(|gate| ["kept", "dropped"].map(|side| near(&gate["near"], side)));
    Ok(names(pairs.flatten().collect::<Vec<_>>().iter()))
}

/// The pairs on one side of a cut.
fn near(near: &Value, side: &str) -> Vec<Pair> {
    let pair = |pair: &Value| {
        Some(Pair { value: pair.get(0)?.as_f64()?, row: pair.get(1)?.as_u64()?, caption: None })
    };
    near[side].as_array().into_iter().flatten().filter_map(pair).take(SHOWN).collect()
}

fn chart(gate: &Value, cut: Option<f64>) -> String {
    let counts = |key: &str| -> Vec<u64> {
        gate[key].as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
    };
    let (Some(from), Some(to)) = (gate["from"].as_f64(), gate["to"].as_f64()) else {
        return String::new();
    };
    let column = gate["column"].as_str().unwrap_or_default();
    histogram(column, (from, to), &counts("pairs"), &counts("kept"), cut)
}

/// Images on both sides of a cut, the nearest first.
fn sides(gate: &Value, images: &Images) -> String {
    [("kept", "Kept, nearest to the cut"), ("dropped", "Dropped, nearest to the cut")]
        .map(|(side, title)| figures(title, &near(gate, side), images))
        .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::DOT;

    #[test]
    fn gates_have_their_numbers_cut_and_images() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("select.json");
        let account = serde_json::json!({
            "pairs": 1234, "kept": 3, "gates": [
                {"gate": "caption <> 'a'", "pairs": 1234, "dropped": 4, "missing": 0, "nan": 0,
                 "cut": null, "histogram": null},
                {"gate": "top 0.3 by width", "pairs": 10, "dropped": 7, "missing": 2, "nan": 1,
                 "cut": 400.0, "near": {"kept": [[400.0, 5]], "dropped": [[300.0, 6], [299.0, 7]]},
                 "histogram": {"column": "width", "from": 0.0, "to": 800.0,
                               "pairs": [4, 3, 2, 1], "kept": [0, 0, 2, 1]}},
            ],
        });
        std::fs::write(&path, account.to_string()).unwrap();
        let wanted = rows_near_cuts(&path).unwrap();
        assert_eq!(wanted.len(), 3);
        let images =
            wanted.into_iter().filter(|(_, row)| row != "7").map(|name| (name, DOT.to_vec()));
        let html = select(&path, &images.collect()).unwrap();
        assert!(html.contains("3 of 1,234 pairs") && html.contains("&lt;&gt;"), "{html}");
        assert_eq!(html.matches("<img").count(), 2);
        assert_eq!(html.matches("class=\"cut\"").count(), 1);
        // A bar for each bin, and one for what is kept of it.
        assert_eq!(html.matches("<rect").count(), 4 + 2 + 2);
    }
}
