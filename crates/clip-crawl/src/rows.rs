//! Pairs as rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use clip_corpus::columns::pair_schema;
use clip_pipeline::{Error, Result, row_id};

/// The stage that a source is read in.
pub const STAGE: &str = "collect";

/// A pair as a source found it.
pub(crate) struct Pair {
    pub url: String,
    pub caption: String,
    pub page: Option<String>,
    pub source: &'static str,
}

/// What some sources know of a pair beside that.
pub(crate) struct More {
    /// Its identity; without it, that is made of URL and caption.
    pub uid: Option<String>,
    /// The columns of [`crate::pair_reader::PairReader::columns`], and the pair's row in them.
    pub columns: Arc<RecordBatch>,
    pub row: usize,
}

/// Rows of a part, the first with index `first`.
pub(crate) fn batch(part: usize, first: usize, pairs: &[Pair]) -> Result<RecordBatch> {
    rows(part, first, pairs, |_| None)
}

/// The same with further columns: `schema` names them, and every pair has its cells.
pub(crate) fn batch_with(
    part: usize,
    first: usize,
    pairs: &[Pair],
    more: &[More],
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let rows = rows(part, first, pairs, |at| more.get(at)?.uid.clone())?;
    if schema.fields().is_empty() {
        return Ok(rows);
    }
    let arrow = |e| Error::arrow(STAGE, e);
    let mut pools: Vec<&RecordBatch> = Vec::new();
    let mut places = Vec::with_capacity(more.len());
    for more in more {
        if pools.last().is_none_or(|last| !std::ptr::eq(*last, &raw const *more.columns)) {
            pools.push(&more.columns);
        }
        places.push((pools.len() - 1, more.row));
    }
    let more = if places.is_empty() {
        RecordBatch::new_empty(schema.clone())
    } else {
        interleave_record_batch(&pools, &places).map_err(arrow)?
    };
    let fields = rows.schema().fields().iter().chain(schema.fields()).cloned().collect::<Vec<_>>();
    let columns = rows.columns().iter().chain(more.columns()).cloned().collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(arrow)
}

fn rows(
    part: usize,
    first: usize,
    pairs: &[Pair],
    uid: impl Fn(usize) -> Option<String>,
) -> Result<RecordBatch> {
    let text = |get: fn(&Pair) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(pairs.iter().map(get)))
    };
    let rows = (first..first + pairs.len()).map(|index| row_id(part, index));
    let uids = pairs
        .iter()
        .enumerate()
        .map(|(at, pair)| uid(at).unwrap_or_else(|| clip_corpus::uid(&pair.url, &pair.caption)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_iter_values(rows)),
        Arc::new(StringArray::from_iter_values(uids)),
        text(|pair| &pair.url),
        text(|pair| &pair.caption),
        Arc::new(pairs.iter().map(|pair| pair.page.as_deref()).collect::<StringArray>()),
        text(|pair| pair.source),
    ];
    RecordBatch::try_new(pair_schema(), columns).map_err(|e| Error::arrow(STAGE, e))
}
