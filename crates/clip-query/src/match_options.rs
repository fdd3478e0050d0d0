//! How captions are matched to queries.

/// What counts as containing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Whole words, in query and caption alike; white space is folded, and marks stand alone, so
    /// that "St. Louis" matches. In scripts without spaces every character counts as a word.
    Words,
    /// MetaCLIP's: only captions are spaced, so a query with a mark in it never matches.
    Metaclip,
}

/// How to match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatchOptions {
    /// What counts as containing.
    pub rules: Rules,
    /// Whether letters match in either case.
    pub ignore_case: bool,
}
