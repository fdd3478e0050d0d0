//! Statistics: exact binomial intervals and tails, detectability, bootstrap, robustness, data
//! efficiency.

mod binomial;
mod bootstrap;
mod error;
mod few_shot;
mod overlap;
pub mod robustness;
mod suite;

pub use binomial::{Interval, binomial_tail, bonferroni, clopper_pearson, smallest_significant};
pub use bootstrap::{Bootstrap, bootstrap};
pub use error::{Error, Result};
pub use few_shot::{Efficiency, data_efficiency};
pub use overlap::{Contamination, Detectable, contamination};
pub use suite::{ClassCounts, Stratified, Suite, stratified, suite};
