//! The DataFusion session, its functions, and `sql/*.sql` as stages.
//!
//! What needs all rows at once is a query in `sql/`, plain SQL over the Parquet parts of the stage
//! before. Each file's header names its tables, columns, parameters and functions, and is held to
//! it. Memory is bounded: sorts and aggregates spill to the stage's scratch folder.
//!
//! ```
//! use clip_sql::Session;
//!
//! # fn main() -> clip_sql::Result<()> {
//! let scratch = tempfile::tempdir().unwrap();
//! let session = Session::new(scratch.path())?;
//! // Our functions are there beside DataFusion's.
//! let rows = session.sql("SELECT 1 AS row WHERE hamming64(5, 6) = 2")?;
//! assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 1);
//! # Ok(())
//! # }
//! ```

mod account;
pub mod balance;
mod comparison;
pub mod condition;
pub mod dedup;
mod error;
pub mod functions;
mod hosts;
mod limits;
mod pool;
mod query;
mod realised;
mod row_condition;
mod session;
mod tables;
mod tail;
mod unique;

pub use balance::{Balance, Mode};
pub use condition::Condition;
pub use dedup::{Compare, Deduplicate};
pub use error::{Error, Result};
pub use hosts::run_hosts;
pub use query::{Query, queries, query, resources};
pub use row_condition::CompiledCondition;
pub use session::{Session, config};
pub use tables::listing;
pub use tail::curve;
pub use unique::UniquePairs;

/// The rows of parts, as the files of a table.
pub fn table_of(inputs: &[clip_pipeline::PartInfo]) -> Vec<std::path::PathBuf> {
    inputs.iter().map(|input| input.path.clone()).collect()
}
