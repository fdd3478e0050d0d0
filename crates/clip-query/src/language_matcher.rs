//! Matching captions against the list of their language.

use std::collections::HashMap;

use crate::{Found, MatchOptions, QueryLists, QueryMatcher, Result, Workspace};

/// The matchers of all lists: a caption is matched against one of them.
#[derive(Debug)]
pub struct LanguageMatcher {
    /// A matcher, and the id of its list's first row.
    default: (QueryMatcher, u32),
    languages: HashMap<String, (QueryMatcher, u32)>,
}

impl LanguageMatcher {
    /// Makes the index of each list.
    ///
    /// # Errors
    /// When a list cannot be matched; it names the language.
    pub fn build(lists: &QueryLists, options: MatchOptions) -> Result<Self> {
        let mut matchers = Vec::new();
        for (own, list) in &lists.lists {
            let matcher = QueryMatcher::build(list, options);
            let matcher = matcher.map_err(|error| error.of_language(&own.language))?;
            matchers.push((own.language.clone(), (matcher, own.ids.start)));
        }
        let (_, default) = matchers.remove(0);
        Ok(Self { default, languages: matchers.into_iter().collect() })
    }

    /// Whether a caption's language decides which list it is matched against.
    pub fn needs_language(&self) -> bool {
        !self.languages.is_empty()
    }

    /// Puts the ids of all queries that the caption contains into `found`, ascending.
    pub fn find(
        &self,
        language: &str,
        caption: &str,
        workspace: &mut Workspace,
        found: &mut Vec<u32>,
    ) {
        let (matcher, first) = self.of(language);
        matcher.find(caption, workspace, found);
        found.iter_mut().for_each(|id| *id += first);
    }

    /// Like [`Self::find`], with the place where each query is first.
    pub fn find_places(
        &self,
        language: &str,
        caption: &str,
        workspace: &mut Workspace,
        found: &mut Vec<Found>,
    ) {
        let (matcher, first) = self.of(language);
        matcher.find_places(caption, workspace, found);
        found.iter_mut().for_each(|place| place.query += first);
    }

    fn of(&self, language: &str) -> &(QueryMatcher, u32) {
        self.languages.get(language).unwrap_or(&self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{QueryList, Rules};

    fn matcher(german: &[&str]) -> Result<LanguageMatcher> {
        let list = |texts: &[&str]| QueryList::from_texts(texts.iter().copied());
        let own = [("de".to_owned(), list(german)), ("ja".to_owned(), list(&["赤い", "猫"]))];
        let lists = QueryLists::new("en", list(&["hotel", "red"]), own.into()).unwrap();
        let options = MatchOptions { rules: Rules::Words, ignore_case: true };
        LanguageMatcher::build(&lists, options)
    }

    #[test]
    fn a_caption_has_queries_of_its_language_alone() {
        let matcher = matcher(&["Hotel", "rot"]).unwrap();
        let (mut workspace, mut found, mut places) = Default::default();
        for (language, caption, expected) in [
            ("en", "a red hotel", &[0, 1][..]),
            ("fr", "hotel rot", &[0]),
            ("de", "hotel rot red", &[2, 3]),
            ("ja", "赤い猫 hotel", &[4, 5]),
        ] {
            matcher.find(language, caption, &mut workspace, &mut found);
            assert_eq!(found, expected, "{language}: {caption}");
            matcher.find_places(language, caption, &mut workspace, &mut places);
            let ids: Vec<u32> = places.iter().map(|place| place.query).collect();
            assert_eq!(ids, expected, "{language}: {caption}");
        }
    }

    #[test]
    fn a_list_that_matches_nothing_is_named_by_its_language() {
        let message = matcher(&[" "]).unwrap_err().to_string();
        assert!(message.contains("the query list of de cannot be matched"), "{message}");
    }
}
