//! The list itself: every query with where it came from.

use std::collections::HashSet;

use serde::Serialize;

use crate::origin::{Given, Origin};
use crate::query::{Query, QuerySource, folded};

/// Longest query that is kept, in bytes: longer lines are no queries but faults of their source.
const MAX_BYTES: usize = 256;

/// "0" to "99": MetaCLIP's list begins with them.
pub fn numerals() -> Vec<Query> {
    (0..100)
        .map(|n: u32| Query {
            text: n.to_string(),
            source: QuerySource::Numeral,
            count: 0,
            score: 0.0,
        })
        .collect()
}

/// Rows of a file that are no queries of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Passed {
    /// Nothing but white space.
    pub empty: u64,
    /// Longer than 256 bytes.
    pub overlong: u64,
    /// The text of an earlier row.
    pub repeated: u64,
}

impl Passed {
    /// Adds those of another file.
    pub(crate) fn add(&mut self, other: &Self) {
        self.empty += other.empty;
        self.overlong += other.overlong;
        self.repeated += other.repeated;
    }
}

/// Queries in order; a query's id is its place, which is its row in the file. No text occurs twice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueryList {
    queries: Vec<Query>,
    passed: Passed,
    origin: Origin,
}

impl QueryList {
    /// A list of rows as they are in a file: what is no query, or repeats an earlier one, keeps
    /// its place and matches nothing.
    pub fn from_rows(rows: impl IntoIterator<Item = Query>, origin: Origin) -> Self {
        let mut seen = HashSet::new();
        let mut passed = Passed::default();
        let mut queries = Vec::new();
        for mut query in rows {
            let fault = if query.text.trim().is_empty() {
                Some(&mut passed.empty)
            } else if query.text.len() > MAX_BYTES {
                Some(&mut passed.overlong)
            } else if !seen.insert(query.text.clone()) {
                Some(&mut passed.repeated)
            } else {
                None
            };
            if let Some(count) = fault {
                *count += 1;
                query.text = String::new();
            }
            queries.push(query);
        }
        Self { queries, passed, origin }
    }

    /// A list of plain texts.
    pub fn from_texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        let row =
            |text: T| Query { text: text.into(), source: QuerySource::List, count: 0, score: 0.0 };
        Self::from_rows(texts.into_iter().map(row), Origin::default())
    }

    /// The rows, by id; a row that is no query has an empty text.
    pub fn queries(&self) -> &[Query] {
        &self.queries
    }

    /// The queries alone, without their ids.
    pub(crate) fn into_queries(self) -> impl Iterator<Item = Query> {
        self.queries.into_iter().filter(|query| !query.text.is_empty())
    }

    /// Number of queries, without rows that are none.
    pub fn len(&self) -> usize {
        let passed = self.passed.empty + self.passed.overlong + self.passed.repeated;
        self.queries.len() - passed as usize
    }

    /// Whether there is no query.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What of the file was skipped.
    pub fn passed(&self) -> Passed {
        self.passed
    }

    /// How the list came about, if it was built here.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// A list in the making: up to its limit, each text once.
pub(crate) struct ListBuilder {
    queries: Vec<Query>,
    seen: HashSet<String>,
    limit: usize,
    keep_case: bool,
}

impl ListBuilder {
    pub(crate) fn new(limit: usize, keep_case: bool) -> Self {
        Self { queries: Vec::new(), seen: HashSet::new(), limit, keep_case }
    }

    /// Adds a source's queries: empty and over-long texts, those that are nothing but marks, and
    /// those that are in already, whatever their case unless it is kept, are skipped.
    pub(crate) fn add(&mut self, source: QuerySource, queries: Vec<Query>) -> Given {
        let offered = queries.len() as u64;
        let mut given = Given { source, offered, kept: 0, repeated: 0, unusable: 0, beyond: 0 };
        for query in queries {
            let text = query.text.trim();
            let marks = text.chars().all(|c| c.is_ascii_punctuation());
            let key = if self.keep_case { text.to_owned() } else { folded(text) };
            if marks || query.text.len() > MAX_BYTES {
                given.unusable += 1;
            } else if self.seen.contains(&key) {
                given.repeated += 1;
            } else if self.queries.len() >= self.limit {
                given.beyond += 1;
            } else {
                self.seen.insert(key);
                self.queries.push(query);
                given.kept += 1;
            }
        }
        given
    }

    pub(crate) fn finish(self, origin: Origin) -> QueryList {
        QueryList { queries: self.queries, passed: Passed::default(), origin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_give_way_to_what_is_there_and_to_the_limit() {
        let query = |text: &str| Query {
            text: text.into(),
            source: QuerySource::Title,
            count: 7,
            score: 1.5,
        };
        let mut builder = ListBuilder::new(3, false);
        let texts = ["Apple", "", "b", "apple", "?!", &"x".repeat(300), "c", "d", "B"];
        let given = builder.add(QuerySource::Title, texts.map(query).to_vec());
        assert_eq!((given.offered, given.kept), (9, 3));
        assert_eq!((given.repeated, given.unusable, given.beyond), (2, 3, 1));
        let list = builder.finish(Origin::default());
        let kept: Vec<_> = list.queries().iter().map(|q| q.text.as_str()).collect();
        assert_eq!(kept, ["Apple", "b", "c"]);
        let mut builder = ListBuilder::new(9, true);
        assert_eq!(builder.add(QuerySource::Title, ["The", "the"].map(query).to_vec()).kept, 2);
    }

    #[test]
    fn rows_that_are_no_queries_keep_their_places() {
        let list = QueryList::from_texts(["a", "", "b", "a", &"x".repeat(10 << 20), " ", "c"]);
        assert_eq!(list.passed(), Passed { empty: 2, overlong: 1, repeated: 1 });
        assert_eq!((list.len(), list.queries().len()), (3, 7));
        assert_eq!(list.queries()[6].text, "c");
        assert_eq!(list.queries()[4].text, "");
    }
}
