//! How the scores of pairs are distributed, and the pairs at both ends.

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
const BINS: usize = 40;
/// Rows that are read at a time.
const ROWS: usize = 65_536;

/// The values of a column.
pub struct ScoreSpread {
    column: String,
    count: u64,
    mean: f64,
    /// The pairs with the least values, the least first, then those with the largest.
    least: Vec<Pair>,
    largest: Vec<Pair>,
    bins: Vec<u64>,
}

/// The values of some columns of f32 over Parquet files; what has no such column, or no value in
/// it, is left out.
///
/// # Errors
/// When a file cannot be read.
pub fn spreads(files: &[PathBuf], columns: &[String]) -> Result<Vec<ScoreSpread>> {
    let spreads = columns.iter().map(|column| spread(files, column));
    spreads.filter_map(Result::transpose).collect()
}

fn spread(files: &[PathBuf], column: &str) -> Result<Option<ScoreSpread>> {
    let (mut count, mut sum) = (0u64, 0.0);
    let (mut least, mut largest) = (Vec::new(), Vec::new());
    each(files, column, &mut |value, row| {
        count += 1;
        sum += value;
        keep_least(&mut least, value, row, value);
        keep_least(&mut largest, value, row, -value);
    })?;
    let (Some((_, low)), Some((_, high))) = (least.first(), largest.first()) else {
        return Ok(None);
    };
    let (low, high) = (low.value, high.value);
    let width = (high - low).max(f64::from(f32::EPSILON)) / BINS as f64;
    let mut bins = vec![0u64; BINS];
    each(files, column, &mut |value, _| {
        bins[(((value - low) / width) as usize).min(BINS - 1)] += 1;
    })?;
    let pairs = |list: Vec<(f64, Pair)>| list.into_iter().map(|(_, pair)| pair).collect();
    let (column, mean) = (column.to_owned(), sum / count as f64);
    Ok(Some(ScoreSpread {
        column,
        count,
        mean,
        least: pairs(least),
        largest: pairs(largest),
        bins,
    }))
}

/// Keeps the pairs with the least keys, of equal ones the first.
fn keep_least(list: &mut Vec<(f64, Pair)>, value: f64, row: u64, key: f64) {
    let at = list.partition_point(|(other, _)| *other <= key);
    if at < SHOWN {
        list.insert(at, (key, Pair { value, row, caption: None }));
        list.truncate(SHOWN);
    }
}

/// The rows that [`histograms`] shows, by place and name as [`crate::stored`] wants them.
pub fn rows_at_ends(spreads: &[ScoreSpread]) -> HashSet<(String, String)> {
    names(spreads.iter().flat_map(|spread| spread.least.iter().chain(&spread.largest)))
}

/// The histogram of each column, with the pairs at both ends; `images` holds those of its rows that
/// can be shown.
pub fn histograms(spreads: &[ScoreSpread], images: &Images) -> String {
    let mut html = String::new();
    for ScoreSpread { column, count, mean, least, largest, bins } in spreads {
        let (Some(low), Some(high)) = (least.first(), largest.first()) else { continue };
        let number = |value: f64| format!("{value:.4}");
        let row = [grouped(*count), number(low.value), number(*mean), number(high.value)];
        html.push_str(&format!("<h3>{}</h3>\n", escape(column)));
        html.push_str(&table(&["pairs", "least", "mean", "largest"], &[row.to_vec()]));
        html.push_str(&histogram(column, (low.value, high.value), bins, bins, None));
        html.push_str(&figures("The least", least, images));
        html.push_str(&figures("The largest", largest, images));
    }
    html
}

/// Visits the values of a column with the numbers of their rows.
fn each(files: &[PathBuf], column: &str, visit: &mut dyn FnMut(f64, u64)) -> Result<()> {
    for file in files {
        for batch in scan(file, &[columns::ROW, column], ROWS)? {
            let batch = batch?;
            let values = batch.column_by_name(column);
            let Some(values) = values.and_then(|v| v.as_primitive_opt::<Float32Type>()) else {
                break;
            };
            let rows = columns::uint64(&batch, columns::ROW);
            for (at, value) in values.iter().enumerate() {
                if let Some(value) = value.filter(|value| value.is_finite()) {
                    visit(f64::from(value), rows.map_or(0, |rows| rows.value(at)));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::DOT;
    use arrow::array::{ArrayRef, Float32Array, RecordBatch, UInt64Array};
    use std::sync::Arc;

    #[test]
    fn every_value_is_in_a_bin_and_columns_without_values_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, first: u64, values: Vec<Option<f32>>| {
            let rows = (first..).take(values.len());
            let rows: ArrayRef = Arc::new(UInt64Array::from_iter_values(rows));
            let column: ArrayRef = Arc::new(Float32Array::from(values));
            let batch =
                RecordBatch::try_from_iter([("row", rows), ("clip_similarity", column)]).unwrap();
            let path = folder.path().join(name);
            clip_corpus::write_parquet(&path, batch.schema(), &[batch]).unwrap();
            path
        };
        let files = [
            write("0.parquet", 0, vec![Some(0.25), Some(-0.5), None]),
            write("1.parquet", 7, vec![Some(0.5)]),
        ];
        let found = spreads(&files, &["clip_similarity".into(), "nsfw".into()]).unwrap();
        let rows = |pairs: &[Pair]| pairs.iter().map(|pair| pair.row).collect::<Vec<_>>();
        assert_eq!(
            (rows(&found[0].least), rows(&found[0].largest)),
            (vec![1, 0, 7], vec![7, 0, 1])
        );
        let wanted = rows_at_ends(&found);
        assert_eq!(wanted.len(), 3);
        let images =
            wanted.into_iter().filter(|(_, row)| row != "0").map(|name| (name, DOT.to_vec()));
        let html = histograms(&found, &images.collect());
        for part in ["clip_similarity", ">3</td>", "-0.5000", "0.0833", "0.5000", "<svg"] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("nsfw"));
        assert_eq!((html.matches("<figure").count(), html.matches("<img").count()), (4, 4));
        let many = write("2.parquet", 0, (0..50).map(|at| Some(at as f32)).collect());
        let found = spreads(&[many], &["clip_similarity".into()]).unwrap();
        assert_eq!(rows(&found[0].largest), (44..50).rev().collect::<Vec<_>>());
        let one = spreads(&[write("3.parquet", 0, vec![Some(1.0)])], &["clip_similarity".into()]);
        assert!(histograms(&one.unwrap(), &Images::new()).contains(">1</td>"));
    }
}
