//! How the scores of pairs are distributed.

use std::path::PathBuf;

use arrow::array::AsArray;
use arrow::datatypes::Float32Type;
use clip_corpus::scan;

use crate::Result;
use crate::chart::histogram;
use crate::page::{escape, grouped, table};

/// Bins of a histogram.
const BINS: usize = 40;
/// Rows that are read at a time.
const ROWS: usize = 65_536;

/// The histogram of each of some columns of f32 over Parquet files; what has no such column, or no
/// value in it, is left out.
pub fn histograms(files: &[PathBuf], columns: &[String]) -> Result<String> {
    let mut html = String::new();
    for column in columns {
        let (mut count, mut sum) = (0u64, 0.0);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        each(files, column, &mut |value| {
            count += 1;
            sum += value;
            (low, high) = (low.min(value), high.max(value));
        })?;
        if count == 0 {
            continue;
        }
        let width = (high - low).max(f64::from(f32::EPSILON)) / BINS as f64;
        let mut bins = [0u64; BINS];
        each(files, column, &mut |value| {
            bins[(((value - low) / width) as usize).min(BINS - 1)] += 1;
        })?;
        let number = |value: f64| format!("{value:.4}");
        let mean = sum / count as f64;
        let row = vec![grouped(count), number(low), number(mean), number(high)];
        html.push_str(&format!("<h3>{}</h3>\n", escape(column)));
        html.push_str(&table(&["pairs", "least", "mean", "largest"], &[row]));
        html.push_str(&histogram(column, (low, high), &bins, &bins, None));
    }
    Ok(html)
}

/// Visits the values of a column.
fn each(files: &[PathBuf], column: &str, visit: &mut dyn FnMut(f64)) -> Result<()> {
    for file in files {
        for batch in scan(file, &[column], ROWS)? {
            let batch = batch?;
            let values = batch.column_by_name(column);
            let Some(values) = values.and_then(|v| v.as_primitive_opt::<Float32Type>()) else {
                break;
            };
            values.iter().flatten().for_each(|value| visit(f64::from(value)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float32Array, RecordBatch};
    use std::sync::Arc;

    #[test]
    fn every_value_is_in_a_bin_and_columns_without_values_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, values: Vec<Option<f32>>| {
            let column: ArrayRef = Arc::new(Float32Array::from(values));
            let batch = RecordBatch::try_from_iter([("clip_similarity", column)]).unwrap();
            let path = folder.path().join(name);
            clip_corpus::write_parquet(&path, batch.schema(), &[batch]).unwrap();
            path
        };
        let files = [
            write("0.parquet", vec![Some(0.25), Some(-0.5), None]),
            write("1.parquet", vec![Some(0.5)]),
        ];
        let html = histograms(&files, &["clip_similarity".into(), "nsfw".into()]).unwrap();
        for part in ["clip_similarity", "<td>3</td>", "-0.5000", "0.0833", "0.5000", "<svg"] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("nsfw"));
        let one = histograms(&[write("2.parquet", vec![Some(1.0)])], &["clip_similarity".into()]);
        assert!(one.unwrap().contains("<td>1</td>"));
    }
}
