//! Which pairs are copies: the rule, and the decision file that it comes from.

mod file;
mod rule;

pub use file::{Decisions, ReviewedPair, SetDecision};
pub use rule::{CopyRule, Judgement, THRESHOLD, Verdict};
