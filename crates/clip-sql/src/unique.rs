//! The barrier against repeated pairs.

use arrow::array::RecordBatch;
use clip_pipeline::{Barrier, Context, DecisionSink, PartInfo, Result};

use crate::{Session, query, table_of};

/// Of pairs with the same URL and caption the first stays; the others are dropped as
/// `duplicate_pair`.
#[derive(Debug, Clone, Copy, Default)]
pub struct UniquePairs;

impl UniquePairs {
    /// The query files that decide.
    pub const QUERIES: [&str; 1] = ["10_unique_pairs"];
}

impl Barrier for UniquePairs {
    fn decide(&self, inputs: &[PartInfo], cx: &Context, out: &mut DecisionSink) -> Result<()> {
        let mut decide = || {
            let session = Session::for_barrier(cx)?;
            let query = query(Self::QUERIES[0])?;
            session.table_for(&[&query], "pairs", &table_of(inputs))?;
            out.push(&RecordBatch::new_empty(query.outputs.clone()))?;
            session.each(&query, &[], |batch| Ok(out.push(&batch)?))
        };
        decide().map_err(|e: crate::Error| e.into_stage_error(cx.stage()))
    }
}
