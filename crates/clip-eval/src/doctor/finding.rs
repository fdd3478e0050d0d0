//! What was found.

use serde::Serialize;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// Whether it is as it should be.
    pub good: bool,
    /// What was found.
    pub about: String,
}

pub(super) fn finding(check: &'static str, good: bool, about: impl Into<String>) -> Finding {
    Finding { check, good, about: about.into() }
}

/// The first few of `items`, with how many there are.
pub(super) fn listed(items: &[String], what: &str) -> String {
    match items {
        [] => format!("none {what}"),
        few if few.len() <= 5 => format!("{} {what}: {}", few.len(), few.join(", ")),
        many => format!("{} {what}: {}, …", many.len(), many[..5].join(", ")),
    }
}
