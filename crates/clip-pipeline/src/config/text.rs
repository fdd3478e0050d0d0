//! Settings of the text stages: language, queries, balance.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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

/// `[[quality]]`: which captions may stay by a supervised fastText model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// Lower-case letters, digits and `_`: of the column `quality_NAME` and the reason
    /// `low_quality_NAME`.
    pub name: String,
    /// The model, `.bin` or `.ftz`.
    pub model: PathBuf,
    /// The label of captions that may stay, with or without `__label__`.
    pub label: String,
    /// Least probability of the label; 0 drops nothing.
    #[serde(default = "even")]
    pub min_prob: f32,
    /// Whether a column has the probability.
    #[serde(default = "yes")]
    pub column: bool,
}

fn even() -> f32 {
    0.5
}

impl Quality {
    /// What is wrong with one of several.
    pub(crate) fn fault(all: &[Self]) -> Option<String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        all.iter().enumerate().find_map(|(at, quality)| {
            let Self { name, min_prob, column, .. } = quality;
            if name.is_empty() || !name.chars().all(plain) {
                let rule = "lower-case letters, digits and '_'";
                return Some(format!(
                    "`quality.name` {name:?} must be {rule}\nhint: it names a column"
                ));
            }
            if all[..at].iter().any(|other| other.name == *name) {
                return Some(format!("two [[quality]] have the name {name:?}"));
            }
            if !(0.0..=1.0).contains(min_prob) {
                return Some(format!("`min_prob` of quality {name:?} must be from 0 to 1"));
            }
            (*min_prob == 0.0 && !column).then(|| {
                let hint = "hint: a `min_prob` above 0, or `column = true`";
                format!("quality {name:?} has no effect\n{hint}")
            })
        })
    }
}

/// `[queries]`: the lists that captions are matched against.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queries {
    /// The list: Parquet from `clip-data queries build`, or one query a line.
    pub list: PathBuf,
    /// The lists of languages that have one of their own, by their codes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub languages: BTreeMap<String, PathBuf>,
    /// `default`, or `metaclip` for the published spacing rules.
    #[serde(default)]
    pub compat: Compat,
    /// Whether letters match in either case.
    #[serde(default = "yes")]
    pub ignore_case: bool,
    /// Whether a column says where in the caption each query is.
    #[serde(default)]
    pub places: bool,
}

impl Queries {
    /// Every list, with the setting that names it.
    pub fn lists(&self) -> impl Iterator<Item = (String, &Path)> {
        let own = self.languages.iter();
        let own = own.map(|(code, list)| (format!("queries.languages.{code}"), list.as_path()));
        [("queries.list".to_owned(), self.list.as_path())].into_iter().chain(own)
    }

    /// The languages that have no list of their own, of those that stay; empty where none has one.
    pub fn rest(&self, language: Option<&Language>) -> String {
        let keep = language.filter(|_| !self.languages.is_empty()).map(|language| &language.keep);
        let rest = keep.into_iter().flatten().filter(|code| !self.languages.contains_key(*code));
        rest.map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// What is wrong with the lists of languages, where these languages stay.
    pub(crate) fn fault(&self, language: Option<&Language>) -> Option<String> {
        if self.languages.is_empty() {
            return None;
        }
        let Some(language) = language else {
            let hint = "hint: its model says which language a caption has";
            return Some(format!("[queries.languages] needs [language]\n{hint}"));
        };
        let keep = &language.keep;
        if let Some(code) = self.languages.keys().find(|code| !keep.contains(code)) {
            let hint = format!("hint: `language.keep` drops its captions; it has {keep:?}");
            return Some(format!("`queries.languages.{code}` has no effect\n{hint}"));
        }
        self.rest(Some(language)).is_empty().then(|| {
            let hint = "hint: it is the list of the language whose tail the others follow: remove that one from [queries.languages]";
            format!("`queries.list` has no effect: each language has a list of its own\n{hint}")
        })
    }
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
    /// Whether a pair without any query is dropped.
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
