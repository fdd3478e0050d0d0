//! Finding every query that a caption contains, all at once.

use std::path::Path;

use daachorse::DoubleArrayAhoCorasick;

use crate::spacing::space;
use crate::{Error, QueryList, Result};

/// What counts as containing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Whole words; query and caption are spaced alike, so that "St. Louis" matches.
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

/// An automaton over the whole list: one pass over a caption finds all its queries.
pub struct QueryMatcher {
    automaton: DoubleArrayAhoCorasick<u32>,
    /// Queries that are spelt alike after spacing share a pattern: pattern to their ids.
    ids: Vec<Vec<u32>>,
    options: MatchOptions,
}

impl QueryMatcher {
    /// Makes the automaton.
    pub fn build(list: &QueryList, options: MatchOptions) -> Result<Self> {
        let mut patterns: Vec<(String, u32)> = Vec::with_capacity(list.queries().len());
        for (id, query) in list.queries().iter().enumerate() {
            let mut pattern = String::new();
            match options.rules {
                Rules::Words => {
                    space(&query.text, options.rules, options.ignore_case, &mut pattern);
                }
                Rules::Metaclip => {
                    pattern = format!(" {} ", query.text);
                    if options.ignore_case {
                        pattern = pattern.to_lowercase();
                    }
                }
            }
            if !pattern.trim().is_empty() {
                patterns.push((pattern, id as u32));
            }
        }
        patterns.sort_unstable();
        let mut unique: Vec<(String, u32)> = Vec::with_capacity(patterns.len());
        let mut ids: Vec<Vec<u32>> = Vec::with_capacity(patterns.len());
        for (pattern, id) in patterns {
            match unique.last() {
                Some((last, _)) if *last == pattern => {
                    if let Some(same) = ids.last_mut() {
                        same.push(id);
                    }
                }
                _ => {
                    unique.push((pattern, ids.len() as u32));
                    ids.push(vec![id]);
                }
            }
        }
        if unique.is_empty() {
            return Err(Error::Matcher("it is empty".into()));
        }
        let automaton = DoubleArrayAhoCorasick::with_values(unique);
        let automaton = automaton.map_err(|e| Error::Matcher(e.to_string()))?;
        Ok(Self { automaton, ids, options })
    }

    /// Reads the list at `path` and makes its automaton.
    pub fn open(path: &Path, options: MatchOptions) -> Result<Self> {
        Self::build(&QueryList::load(path)?, options)
    }

    /// Ids of all queries that the caption contains, ascending.
    pub fn find(&self, caption: &str) -> Vec<u32> {
        let mut text = String::with_capacity(caption.len() + 16);
        space(caption, self.options.rules, self.options.ignore_case, &mut text);
        let matches = self.automaton.find_overlapping_iter(&text);
        let mut found: Vec<u32> =
            matches.flat_map(|m| &self.ids[m.value() as usize]).copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Query, QuerySource};
    use proptest::prelude::*;

    fn matcher(queries: &[&str], rules: Rules, ignore_case: bool) -> QueryMatcher {
        let mut list = QueryList::default();
        let query = |text: &&str| Query {
            text: (*text).into(),
            source: QuerySource::List,
            count: 0,
            score: 0.0,
        };
        list.extend(queries.iter().map(query), usize::MAX);
        QueryMatcher::build(&list, MatchOptions { rules, ignore_case }).unwrap()
    }

    #[test]
    fn words_match_whole_in_either_case_and_across_marks() {
        let matcher = matcher(
            &["apple", "St. Louis", "red apple", "猫", "co-op", "Apple"],
            Rules::Words,
            true,
        );
        assert_eq!(matcher.find("A Red  Apple, fresh"), [0, 2, 5]);
        assert_eq!(matcher.find("the St.Louis arch"), [1]);
        assert_eq!(matcher.find("pineapples and applesauce"), Vec::<u32>::new());
        assert_eq!(matcher.find("黑猫坐着"), [3]);
        assert_eq!(matcher.find("(co-op) \"apple\""), [0, 4, 5]);
    }

    #[test]
    fn metaclips_rules_are_kept() {
        let matcher = matcher(&["Louis", "arch", "St. Louis", "red apple"], Rules::Metaclip, false);
        assert_eq!(matcher.find("St. Louis arch"), [0, 1]);
        assert_eq!(matcher.find("red  apple"), Vec::<u32>::new());
        assert_eq!(matcher.find("a red apple"), [3]);
        assert_eq!(matcher.find("(arch)"), Vec::<u32>::new());
    }

    proptest! {
        #[test]
        fn equals_looking_for_each_query(
            queries in prop::collection::btree_set("[ab]{1,3}( [ab]{1,2})?", 1..12),
            caption in "[ab ,.]{0,40}") {
            let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
            let matcher = matcher(&queries, Rules::Metaclip, false);
            let mut text = String::new();
            space(&caption, Rules::Metaclip, false, &mut text);
            let naive: Vec<u32> = (0..queries.len() as u32)
                .filter(|&id| text.contains(&format!(" {} ", queries[id as usize])))
                .collect();
            prop_assert_eq!(matcher.find(&caption), naive);
        }
    }
}
