//! Lists of queries by language, with the ids of one after those of another.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::{Error, Query, QueryList, Result};

/// The ids of a language's queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanguageIds {
    /// The language, or those that have no list of their own.
    pub language: String,
    /// Its ids.
    pub ids: Range<u32>,
}

/// The list of all languages without one of their own, then those of the others, in the order of
/// their names. A query's id is its row in its list, after all rows of the lists before.
#[derive(Debug)]
pub struct QueryLists {
    pub(crate) lists: Vec<(LanguageIds, QueryList)>,
}

impl QueryLists {
    /// Reads the lists: that of the languages `rest`, and those of others.
    pub fn open(rest: &str, list: &Path, languages: &BTreeMap<String, PathBuf>) -> Result<Self> {
        let own = languages.iter().map(|(language, path)| (language.clone(), path));
        let own = own.map(|(language, path)| Ok((language, QueryList::load(path)?)));
        Self::new(rest, QueryList::load(list)?, own.collect::<Result<_>>()?)
    }

    /// Puts lists together.
    ///
    /// # Errors
    /// When all have more queries than there are ids.
    pub fn new(
        rest: &str,
        list: QueryList,
        languages: BTreeMap<String, QueryList>,
    ) -> Result<Self> {
        let mut first = 0;
        let mut lists = Vec::new();
        for (language, list) in [(rest.to_owned(), list)].into_iter().chain(languages) {
            let end = u32::try_from(list.queries().len()).ok().and_then(|n| n.checked_add(first));
            let end = end.ok_or_else(|| Error::Matcher("more than 4,294,967,295 rows".into()))?;
            lists.push((LanguageIds { language, ids: first..end }, list));
            first = end;
        }
        Ok(Self { lists })
    }

    /// The query of an id; none beyond the last, and for a row that is no query.
    pub fn get(&self, id: u32) -> Option<&Query> {
        let (own, list) = self.lists.iter().find(|(own, _)| own.ids.contains(&id))?;
        let query = &list.queries()[(id - own.ids.start) as usize];
        (!query.text.is_empty()).then_some(query)
    }

    /// Which ids each list has, in their order.
    pub fn languages(&self) -> impl Iterator<Item = &LanguageIds> {
        self.lists.iter().map(|(ids, _)| ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_list_follow_those_of_another() {
        let list = |texts: &[&str]| QueryList::from_texts(texts.iter().copied());
        let own = [("ja", list(&["猫"])), ("de", list(&["Boot", "Boot"]))];
        let own = own.map(|(language, list)| (language.to_owned(), list));
        let lists = QueryLists::new("en", list(&["boat", "", "cat"]), own.into()).unwrap();
        let ranges = lists.languages().map(|own| (own.language.as_str(), own.ids.clone()));
        let expected = [("en", 0..3), ("de", 3..5), ("ja", 5..6)];
        assert_eq!(ranges.collect::<Vec<_>>(), expected);
        let text = |id| lists.get(id).map(|query| query.text.as_str());
        let texts: Vec<_> = (0..7).map(text).collect();
        let none = None;
        assert_eq!(texts, [Some("boat"), none, Some("cat"), Some("Boot"), none, Some("猫"), none]);
    }
}
