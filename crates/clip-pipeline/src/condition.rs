//! Conditions on rows that a user writes.

use arrow::array::RecordBatch;

use crate::Result;

/// Which rows are meant. Crates below the SQL engine take one, and the executables make it of the
/// user's SQL.
pub trait RowCondition: Send + Sync {
    /// For each row whether it is meant; one for which the condition is null is not.
    ///
    /// # Errors
    /// As [`crate::Error::Config`], when the rows have no such column, or it has another type.
    fn matches(&self, rows: &RecordBatch) -> Result<Vec<bool>>;
}
