//! The barrier against repeated pairs.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use clip_pipeline::{Barrier, Context, Error, Result};

use crate::{Session, query};

/// Of pairs with the same address and caption the first stays; the others fall as `duplicate_pair`.
#[derive(Debug, Clone, Copy, Default)]
pub struct UniquePairs;

impl UniquePairs {
    /// The query files that decide.
    pub const QUERIES: [&str; 1] = ["10_unique_pairs"];
}

impl Barrier for UniquePairs {
    fn decide(&self, inputs: &[PathBuf], cx: &Context) -> Result<Vec<RecordBatch>> {
        let decide = || {
            let session = Session::of(cx)?;
            session.table("pairs", inputs)?;
            session.run(&query("10_unique_pairs")?, &[])
        };
        decide().map_err(|e: crate::Error| Error::stage(cx.stage(), e))
    }
}
