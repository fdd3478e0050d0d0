//! Matching captions against the query list.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, RecordBatch, UInt32Builder};
use clip_corpus::columns;
use clip_pipeline::{Error, Map, PartSink, Result};
use clip_query::QueryMatcher;

use crate::captions::text_column;

/// Adds `queries`, the ascending ids of the queries that a caption contains; drops nothing.
///
/// Whether a pair without a query may stay is the balance's to say.
pub struct Matches {
    matcher: QueryMatcher,
}

impl Matches {
    /// Name of the stage.
    pub const STAGE: &'static str = "match";

    /// With a matcher over the list.
    pub fn new(matcher: QueryMatcher) -> Self {
        Self { matcher }
    }
}

impl Map for Matches {
    fn apply(&self, batch: RecordBatch, out: &mut PartSink) -> Result<()> {
        let captions = text_column(&batch, Self::STAGE, columns::CAPTION)?;
        let mut queries = ListBuilder::new(UInt32Builder::new());
        for caption in captions {
            queries.values().append_slice(&self.matcher.find(caption.unwrap_or("")));
            queries.append(true);
        }
        let column: ArrayRef = Arc::new(queries.finish());
        let batch = columns::with_column(&batch, columns::QUERIES, false, column);
        out.keep(batch.map_err(|e| Error::arrow(Self::STAGE, e))?)
    }
}
