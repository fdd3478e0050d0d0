//! What models of captions dropped: the probabilities of all captions, and captions on both sides
//! of each limit.

use std::collections::HashSet;
use std::path::PathBuf;

use arrow::array::AsArray;
use arrow::datatypes::Float32Type;
use clip_corpus::{columns, scan};

use crate::Result;
use crate::chart::histogram;
use crate::copies::Images;
use crate::markup::{escape, grouped};
use crate::near::{Pair, SHOWN, figures, names};
use crate::table::table;

/// Bins of a histogram.
const BINS: usize = 50;
/// Rows that are read at a time.
const ROWS: usize = 65_536;

/// A model of captions and its limit.
#[derive(Debug, Clone, PartialEq)]
pub struct QualityModel {
    /// Its name: `quality_NAME` is its column, and `low_quality_NAME` the reason of its rejects.
    pub name: String,
    /// The least probability of a caption that is kept.
    pub min_prob: f32,
}

/// What a model did.
pub struct QualityGate {
    model: QualityModel,
    kept: Side,
    dropped: Side,
}

/// The captions on one side of a limit.
struct Side {
    bins: Vec<u64>,
    /// The nearest to the limit, the nearest first.
    near: Vec<Pair>,
}

impl Side {
    fn new() -> Self {
        Self { bins: vec![0; BINS], near: Vec::new() }
    }

    fn add(&mut self, limit: f64, value: f64, row: u64, caption: &str) {
        self.bins[((value * BINS as f64) as usize).min(BINS - 1)] += 1;
        let distance = |value: f64| (value - limit).abs();
        let at = self.near.partition_point(|pair| distance(pair.value) <= distance(value));
        if at < SHOWN {
            self.near.insert(at, Pair { value, row, caption: Some(caption.to_owned()) });
            self.near.truncate(SHOWN);
        }
    }
}

/// What each model did, by the rows that the stage kept, where it has the model's column, and its
/// rejects, whose detail ends with the probability.
///
/// # Errors
/// When a file cannot be read.
pub fn quality_gates(
    models: &[QualityModel],
    rows: &[PathBuf],
    rejects: &[PathBuf],
) -> Result<Vec<QualityGate>> {
    models.iter().map(|model| gate(model, rows, rejects)).collect()
}

fn gate(model: &QualityModel, rows: &[PathBuf], rejects: &[PathBuf]) -> Result<QualityGate> {
    let (mut kept, mut dropped) = (Side::new(), Side::new());
    let column = format!("quality_{}", model.name);
    let reason = format!("low_quality_{}", model.name);
    for file in rows {
        for batch in scan(file, &[columns::ROW, columns::CAPTION, &column], ROWS)? {
            let batch = batch?;
            let values = batch.column_by_name(&column);
            let values = values.and_then(|values| values.as_primitive_opt::<Float32Type>());
            let (Some(values), Some(ids), Some(captions)) = (
                values,
                columns::uint64(&batch, columns::ROW),
                columns::text(&batch, columns::CAPTION),
            ) else {
                break;
            };
            for (at, value) in values.iter().enumerate() {
                let value = f64::from(value.unwrap_or(0.0));
                kept.add(f64::from(model.min_prob), value, ids.value(at), captions.value(at));
            }
        }
    }
    for file in rejects {
        for batch in scan(file, &[], ROWS)? {
            let batch = batch?;
            let text = |name| columns::text(&batch, name);
            let (Some(reasons), Some(details), Some(captions), Some(ids)) = (
                text("reason"),
                text("detail"),
                text(columns::CAPTION),
                columns::uint64(&batch, columns::ROW),
            ) else {
                break;
            };
            for at in (0..batch.num_rows()).filter(|&at| reasons.value(at) == reason) {
                let value = details.value(at).rsplit(' ').next().and_then(|word| word.parse().ok());
                let value = value.unwrap_or(0.0);
                dropped.add(f64::from(model.min_prob), value, ids.value(at), captions.value(at));
            }
        }
    }
    Ok(QualityGate { model: model.clone(), kept, dropped })
}

/// The rows that [`quality`] shows, by place and name as [`crate::stored`] wants them.
pub fn rows_near_limits(gates: &[QualityGate]) -> HashSet<(String, String)> {
    names(gates.iter().flat_map(|gate| &gate.kept.near))
}

/// A histogram for each model, with captions on both sides of its limit. What was dropped was not
/// fetched: `images` holds those of kept rows that can be shown.
pub fn quality(gates: &[QualityGate], images: &Images) -> String {
    let mut html = String::new();
    for QualityGate { model, kept, dropped } in gates {
        let count = |side: &Side| side.bins.iter().sum::<u64>();
        let row = [
            model.min_prob.to_string(),
            if count(kept) > 0 { grouped(count(kept)) } else { "no column".into() },
            grouped(count(dropped)),
        ];
        html.push_str(&format!("<h3>{}</h3>\n", escape(&model.name)));
        html.push_str(&table(&["least probability", "kept", "dropped"], &[row.to_vec()]));
        let all: Vec<u64> = kept.bins.iter().zip(&dropped.bins).map(|(a, b)| a + b).collect();
        let name = format!("quality_{}", model.name);
        html.push_str(&histogram(
            &name,
            (0.0, 1.0),
            &all,
            &kept.bins,
            Some(f64::from(model.min_prob)),
        ));
        html.push_str(&figures("Kept, nearest to the limit", &kept.near, images));
        html.push_str(&figures("Dropped, nearest to the limit", &dropped.near, images));
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::DOT;
    use arrow::array::{ArrayRef, Float32Array, RecordBatch, StringArray, UInt64Array};
    use std::sync::Arc;

    #[test]
    fn both_sides_of_a_limit_are_counted_and_shown() {
        let folder = tempfile::tempdir().unwrap();
        let strings = |texts: &[&str]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
        let write = |name: &str, columns: Vec<(&str, ArrayRef)>| {
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            let path = folder.path().join(name);
            clip_corpus::write_parquet(&path, batch.schema(), &[batch]).unwrap();
            path
        };
        let ids = |ids: Vec<u64>| -> ArrayRef { Arc::new(UInt64Array::from(ids)) };
        let rows = write(
            "rows.parquet",
            vec![
                ("row", ids(vec![1, 2])),
                ("caption", strings(&["a red boat", "a <b>"])),
                ("quality_good", Arc::new(Float32Array::from(vec![0.9, 0.5]))),
            ],
        );
        let rejects = write(
            "rejects.parquet",
            vec![
                ("row", ids(vec![3, 4, 5])),
                ("caption", strings(&["img_1", "img_2", "x"])),
                ("reason", strings(&["low_quality_good", "low_quality_good", "low_quality_b"])),
                ("detail", strings(&["positive 0.010", "positive 0.499", "positive 0.100"])),
            ],
        );
        let model = |name: &str| QualityModel { name: name.into(), min_prob: 0.5 };
        let gates = quality_gates(&[model("good"), model("b")], &[rows], &[rejects]).unwrap();
        let order = |side: &Side| side.near.iter().map(|pair| pair.row).collect::<Vec<_>>();
        assert_eq!((order(&gates[0].kept), order(&gates[0].dropped)), (vec![2, 1], vec![4, 3]));
        assert_eq!(rows_near_limits(&gates).len(), 2);
        let images = [((String::new(), "1".to_owned()), DOT.to_vec())].into_iter().collect();
        let html = quality(&gates, &images);
        assert_eq!((html.matches("<img").count(), html.matches("no image").count()), (1, 4));
        assert_eq!(html.matches("class=\"cut\"").count(), 2);
        assert!(
            html.contains("a &lt;b&gt;") && html.contains("no column") && html.contains("0.499")
        );
    }
}
