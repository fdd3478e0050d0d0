//! Finding every query that a caption contains, all at once.

use crate::index::Index;
use crate::match_options::MatchOptions;
use crate::tokens::Tokens;
use crate::{QueryList, Result};

/// A query in a caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The query's id.
    pub query: u32,
    /// Its first character in the caption, counted from 0.
    pub start: u32,
    /// The character after its last.
    pub end: u32,
}

/// What a thread needs to match one caption after another.
#[derive(Debug, Default)]
pub struct Workspace {
    tokens: Tokens,
}

/// The whole list at once: one look-up a word of the caption finds all its queries.
#[derive(Debug)]
pub struct QueryMatcher {
    index: Index,
    options: MatchOptions,
}

impl QueryMatcher {
    /// Makes the index of a list.
    pub fn build(list: &QueryList, options: MatchOptions) -> Result<Self> {
        let queries = list.queries().iter().map(|query| query.text.as_str());
        let index = Index::build(queries, |query, tokens| tokens.fill_query(query, options))?;
        Ok(Self { index, options })
    }

    /// Puts the ids of all queries that the caption contains into `found`, ascending.
    pub fn find(&self, caption: &str, workspace: &mut Workspace, found: &mut Vec<u32>) {
        found.clear();
        workspace.tokens.fill(caption, self.options);
        self.index.find(&workspace.tokens, |query, _, _| found.push(query));
        found.sort_unstable();
        found.dedup();
    }

    /// Like [`Self::find`], with the place where each query is first.
    pub fn find_places(&self, caption: &str, workspace: &mut Workspace, found: &mut Vec<Found>) {
        found.clear();
        let tokens = &mut workspace.tokens;
        tokens.fill(caption, self.options);
        self.index.find(tokens, |query, first, last| {
            let (start, end) = tokens.span(first, last);
            found.push(Found { query, start, end });
        });
        found.sort_unstable();
        found.dedup_by_key(|place| place.query);
    }

    /// Bytes of memory that the index takes.
    pub fn bytes(&self) -> usize {
        self.index.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::match_options::Rules;
    use proptest::prelude::*;

    fn matcher(queries: &[&str], rules: Rules, ignore_case: bool) -> QueryMatcher {
        let list = QueryList::from_texts(queries.iter().copied());
        QueryMatcher::build(&list, MatchOptions { rules, ignore_case }).unwrap()
    }

    fn find(matcher: &QueryMatcher, caption: &str) -> Vec<u32> {
        let mut found = Vec::new();
        matcher.find(caption, &mut Workspace::default(), &mut found);
        found
    }

    #[test]
    fn words_match_whole_in_either_case_and_across_marks() {
        let queries =
            ["apple", "St. Louis", "red apple", "猫", "co-op", "Apple", "黑猫坐", "O'Hare"];
        let matcher = matcher(&queries, Rules::Words, true);
        for (caption, queries) in [
            ("A Red  Apple, fresh", &[0, 2, 5][..]),
            ("the St.Louis arch", &[1]),
            ("pineapples and applesauce", &[]),
            ("黑猫坐着", &[3, 6]),
            ("(co-op) 'apple'", &[0, 4, 5]),
            ("at o’hare, red\tAPPLE", &[0, 2, 5, 7]),
            ("", &[]),
        ] {
            assert_eq!(find(&matcher, caption), queries, "{caption}");
        }
    }

    #[test]
    fn case_counts_where_it_is_asked_for() {
        let matcher = matcher(&["apple", "Apple"], Rules::Words, false);
        assert_eq!(find(&matcher, "Apple"), [1]);
    }

    #[test]
    fn metaclips_rules_are_kept() {
        let matcher = matcher(&["Louis", "arch", "St. Louis", "red apple"], Rules::Metaclip, false);
        assert_eq!(find(&matcher, "St. Louis arch"), [0, 1]);
        assert_eq!(find(&matcher, "red  apple"), Vec::<u32>::new());
        assert_eq!(find(&matcher, "a red apple"), [3]);
        assert_eq!(find(&matcher, "(arch)"), Vec::<u32>::new());
    }

    #[test]
    fn thai_and_khmer_match_without_spaces_but_not_inside_a_character() {
        let matcher = matcher(&["กิน", "ก", "ខ្មែរ"], Rules::Words, true);
        assert_eq!(find(&matcher, "แมวกินปลา"), [0]);
        assert_eq!(find(&matcher, "ភាសាខ្មែរ"), [2]);
        assert_eq!(find(&matcher, "กา กข"), [1]);
    }

    #[test]
    fn places_are_characters_of_the_caption() {
        let matcher = matcher(&["st. louis", "é", "arch"], Rules::Words, true);
        let mut found = Vec::new();
        let caption = "Ünder  St.Louis  arch, ARCH é";
        matcher.find_places(caption, &mut Workspace::default(), &mut found);
        let letters: Vec<char> = caption.chars().collect();
        let shown: Vec<(u32, String)> = found
            .iter()
            .map(|f| (f.query, letters[f.start as usize..f.end as usize].iter().collect()))
            .collect();
        assert_eq!(shown, [(0, "St.Louis".into()), (1, "é".into()), (2, "arch".into())]);
    }

    #[test]
    fn an_empty_list_is_an_error() {
        let list = QueryList::from_texts(["", " "]);
        let options = MatchOptions { rules: Rules::Words, ignore_case: true };
        assert!(QueryMatcher::build(&list, options).unwrap_err().to_string().contains("empty"));
    }

    /// `spacing()` of MetaCLIP as its paper's code defines it, on which "contains" is a plain
    /// search.
    fn spaced(text: &str) -> String {
        let mut spaced = format!(" {text} ");
        for mark in [",", ".", ";", ":", "?", "!", "`"] {
            spaced = spaced.replace(mark, &format!(" {mark} "));
        }
        spaced.replace(['\t', '\n', '\r'], " ")
    }

    proptest! {
        #[test]
        fn equals_looking_for_each_query(
            queries in prop::collection::btree_set("[ab,.é]{1,3}([ ]{1,2}[ab]{1,2}){0,3}", 1..14),
            caption in "[ab ,.é\t]{0,40}") {
            let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
            let matcher = matcher(&queries, Rules::Metaclip, false);
            let text = spaced(&caption);
            let naive: Vec<u32> = (0..queries.len() as u32)
                .filter(|&id| text.contains(&format!(" {} ", queries[id as usize])))
                .collect();
            prop_assert_eq!(find(&matcher, &caption), naive);
        }
    }
}
