//! Settings of the text stages: language, queries, balance.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[language]`: which languages may stay.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// The fastText model, `lid.176.ftz`.
    pub model: PathBuf,
    /// ISO 639 codes that stay.
    #[serde(default = "english")]
    pub keep: Vec<String>,
    /// Least probability of the language.
    #[serde(default)]
    pub min_prob: f32,
}

fn english() -> Vec<String> {
    vec!["en".into()]
}

/// `[queries]`: the list that captions are matched against.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queries {
    /// The list: Parquet from `clip-data queries build`, or one query a line.
    pub list: PathBuf,
    /// `default`, or `metaclip` for the published spacing rules.
    #[serde(default)]
    pub compat: Compat,
    /// Whether letters match in either case.
    #[serde(default = "yes")]
    pub ignore_case: bool,
    /// Whether a column says where in the caption each query stands.
    #[serde(default)]
    pub places: bool,
}

fn yes() -> bool {
    true
}

/// Spacing rules of the match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compat {
    /// Both sides are spaced and white space is folded.
    #[default]
    Default,
    /// As MetaCLIP's paper and results have it.
    Metaclip,
}

/// `[balance]`: how many pairs a query may have.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    /// How the limit is kept.
    #[serde(default)]
    pub mode: BalanceMode,
    /// Pairs per query; the paper's is 20,000.
    #[serde(default = "paper_limit")]
    pub limit: u64,
    /// Whether a pair without any query falls.
    #[serde(default = "yes")]
    pub require_match: bool,
}

fn paper_limit() -> u64 {
    20_000
}

/// How the limit per query is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BalanceMode {
    /// Each pair is charged to its rarest query, which takes at most the limit: the paper's words.
    #[default]
    Assign,
    /// A pair stays if any of its queries draws it: MetaCLIP's rule, which exceeds the limit.
    Metaclip,
    /// No query exceeds the limit.
    Strict,
    /// All stay, with the probability in a column for the loader.
    Online,
}
