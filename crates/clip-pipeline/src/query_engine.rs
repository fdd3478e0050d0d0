//! What runs a barrier's queries, where it is not this process.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::array::RecordBatch;

use crate::Result;

/// Runs a barrier's queries on other machines, which see the same files.
pub trait QueryEngine: Send + Sync {
    /// Runs a query over tables of Parquet files, each with at least one, and gives its rows to
    /// `visit` in their order.
    fn query(
        &self,
        tables: &BTreeMap<String, Vec<PathBuf>>,
        sql: &str,
        visit: &mut (dyn FnMut(RecordBatch) -> Result<()> + Send),
    ) -> Result<()>;
}
