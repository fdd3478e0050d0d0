//! Made-up pairs.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, RecordBatch, StringArray, UInt32Builder, UInt64Array};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use clip_corpus::{row_id, uid};

use crate::mix::mix;

/// Queries that captions match.
pub const QUERIES: f64 = 500_000.0;

/// The rows of a part of `rows` pairs: a tenth have the URL and the caption of an earlier pair, and
/// the queries of each are drawn as words of text are, the first far more often than the last.
pub fn pairs(part: usize, rows: u64) -> Result<RecordBatch, ArrowError> {
    let first = part as u64 * rows;
    let origins: Vec<u64> = (first..first + rows)
        .map(|n| if n > 0 && mix(n).is_multiple_of(10) { mix(n + 1) % n } else { n })
        .collect();
    let texts =
        |of: &dyn Fn(u64) -> String| -> Vec<String> { origins.iter().map(|&n| of(n)).collect() };
    let urls = texts(&|n| format!("https://host{}.example/{n}.jpg", n % 97));
    let captions = texts(&|n| format!("a caption of the usual length for image number {n}"));
    let uids = urls.iter().zip(&captions).map(|(url, caption)| uid(url, caption));
    let item = Field::new("item", DataType::UInt32, false);
    let mut queries = ListBuilder::new(UInt32Builder::new()).with_field(item);
    for &n in &origins {
        // Zipf: ranks are uniform in their logarithm.
        let rank = |at: u64| {
            let unit = mix(3 * n + at + 7) as f64 / u64::MAX as f64;
            ((QUERIES.ln() * unit).exp() - 1.0) as u32
        };
        let mut ids: Vec<u32> = (0..3).map(rank).collect();
        ids.sort_unstable();
        ids.dedup();
        queries.values().append_slice(&ids);
        queries.append(true);
    }
    let rows = (0..rows).map(|at| row_id(part, at as usize));
    let columns: [(&str, ArrayRef); 5] = [
        ("row", Arc::new(UInt64Array::from_iter_values(rows))),
        ("uid", Arc::new(StringArray::from_iter_values(uids))),
        ("url", Arc::new(StringArray::from_iter_values(&urls))),
        ("caption", Arc::new(StringArray::from_iter_values(&captions))),
        ("queries", Arc::new(queries.finish())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, false)))
}
