//! The TDM Reservation Protocol (W3C Community Group Final Report of 10 May 2024):
//! `tdm-reservation` of headers and meta tags, and `/.well-known/tdmrep.json`.

use serde::Deserialize;

use super::OptOut;
use crate::error::Kind;
use crate::robots::{matches, normalized};

/// Rules of a file that are read.
const RULES: usize = 10_000;

/// Whether a value reserves rights; what is no value of the protocol counts as not said.
pub(super) fn is_reserved(value: &str) -> bool {
    value.trim() == "1"
}

/// The rules of `/.well-known/tdmrep.json`: of those whose location matches a path, the longest
/// counts.
#[derive(Debug)]
pub(crate) struct TdmFile {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    number: usize,
    location: String,
    /// In the spelling in which paths are compared.
    pattern: Box<[u8]>,
    reserved: bool,
}

#[derive(Deserialize)]
struct Entry {
    location: String,
    #[serde(rename = "tdm-reservation")]
    reservation: serde_json::Value,
}

impl TdmFile {
    /// The rules of a file; none of what is no such file. An entry that is broken costs itself.
    pub fn parse(json: &[u8]) -> Self {
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        let entries: Vec<serde_json::Value> = serde_json::from_slice(json).unwrap_or_default();
        let mut rules = Vec::new();
        for (index, entry) in entries.into_iter().take(RULES).enumerate() {
            let Ok(entry) = serde_json::from_value::<Entry>(entry) else { continue };
            let reserved = match &entry.reservation {
                serde_json::Value::Number(number) => number.as_u64(),
                serde_json::Value::String(text) => text.trim().parse().ok(),
                _ => None,
            };
            let reserved = match reserved {
                Some(1) => true,
                Some(0) => false,
                _ => continue,
            };
            let pattern = normalized(entry.location.as_bytes(), true).into();
            rules.push(Rule { number: index + 1, location: entry.location, pattern, reserved });
        }
        // The longest first; of equally long ones, those that reserve.
        rules.sort_by_key(|rule| std::cmp::Reverse((rule.pattern.len(), rule.reserved)));
        Self { rules }
    }

    /// What it says against the use of a path with its query; `place` is where the file is.
    pub fn check(&self, path: &str, place: &str) -> Option<OptOut> {
        let path = normalized(path.as_bytes(), false);
        let rule = self.rules.iter().find(|rule| matches(&rule.pattern, &path))?;
        let Rule { number, location, .. } = rule;
        let decider = format!("`\"location\": {location:?}` (rule {number} of {place})");
        rule.reserved.then_some(OptOut { kind: Kind::TdmReservation, decider })
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        let rule = |rule: &Rule| rule.location.len() + rule.pattern.len() + size_of::<Rule>();
        self.rules.iter().map(rule).sum()
    }
}
