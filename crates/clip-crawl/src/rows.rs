//! Pairs as rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use clip_corpus::columns::pair_schema;
use clip_pipeline::{Error, Result, row_id};

/// A pair as a source found it.
pub(crate) struct Pair {
    pub url: String,
    pub caption: String,
    pub page: Option<String>,
    pub source: &'static str,
}

/// Rows of a part, the first with index `first`.
pub(crate) fn batch(part: usize, first: usize, pairs: &[Pair]) -> Result<RecordBatch> {
    let text = |get: fn(&Pair) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(pairs.iter().map(get)))
    };
    let rows = (first..first + pairs.len()).map(|index| row_id(part, index));
    let uids = pairs.iter().map(|pair| clip_corpus::uid(&pair.url, &pair.caption));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_iter_values(rows)),
        Arc::new(StringArray::from_iter_values(uids)),
        text(|pair| &pair.url),
        text(|pair| &pair.caption),
        Arc::new(pairs.iter().map(|pair| pair.page.as_deref()).collect::<StringArray>()),
        text(|pair| pair.source),
    ];
    RecordBatch::try_new(pair_schema(), columns).map_err(|e| Error::arrow("collect", e))
}
