//! Statistics: exact binomial intervals and tails, detectability, bootstrap.

mod binomial;
mod bootstrap;
mod error;
mod overlap;

pub use binomial::{Interval, binomial_tail, bonferroni, clopper_pearson, smallest_significant};
pub use bootstrap::{Bootstrap, bootstrap};
pub use error::{Error, Result};
pub use overlap::{Contamination, Detectable, contamination};
