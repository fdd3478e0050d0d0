//! Statistics: exact binomial intervals and tails, detectability, bootstrap, robustness, data
//! efficiency.
//!
//! ```
//! // 7 of 10 right: the 95% interval (R's `binom.test(7, 10)`).
//! let interval = clip_stats::clopper_pearson(7, 10, 0.95)?;
//! assert!((interval.low - 0.3475).abs() < 1e-4 && (interval.high - 0.9333).abs() < 1e-4);
//! # Ok::<(), clip_stats::Error>(())
//! ```

mod binomial;
mod bootstrap;
mod error;
mod few_shot;
mod mean;
mod overlap;
mod rank;
pub mod robustness;
mod suite;

pub use binomial::{Interval, binomial_tail, bonferroni, clopper_pearson, smallest_significant};
pub use bootstrap::{Bootstrap, bootstrap};
pub use error::{Error, Result};
pub use few_shot::{Efficiency, data_efficiency};
pub use mean::Mean;
pub use overlap::{Contamination, Detectable, contamination};
pub use rank::spearman;
pub use suite::{ClassCounts, Stratified, Suite, stratified, suite};
