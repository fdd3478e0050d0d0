//! WordNet 3.0's database files (wndb(5)): the names of all synsets.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::{Error, Query, QuerySource, Result};

const HINT: &str =
    "WordNet 3.0's database files are needed; Debian's wordnet-base has them in /usr/share/wordnet";

/// The first name of every synset in `data.{noun,verb,adj,adv}`: lower case, `_` as space, without
/// the adjective markers `(a)`, `(p)`, `(ip)`, cut at the first dot; sorted, each once.
///
/// WordNet 3.0 gives 86,554; with the numerals 0 to 99 that is MetaCLIP's 86,654 (Table 1).
pub fn names(folder: &Path) -> Result<Vec<Query>> {
    let mut names = BTreeSet::new();
    for part in ["noun", "verb", "adj", "adv"] {
        let reason = "not a synset: fewer than five fields";
        each_line(&folder.join(format!("data.{part}")), reason, |line| {
            let name = name(line.split(' ').nth(4)?);
            if !name.is_empty() {
                names.insert(name);
            }
            Some(())
        })?;
    }
    let query = |text| Query { text, source: QuerySource::Wordnet, count: 0, score: 0.0 };
    Ok(names.into_iter().map(query).collect())
}

/// Calls `each` with the lines of a file; one that it cannot take is an error with this reason.
pub(crate) fn each_line(
    path: &Path,
    reason: &str,
    mut each: impl FnMut(&str) -> Option<()>,
) -> Result<()> {
    let file = std::fs::File::open(path).map_err(|e| Error::file(path, e.to_string(), HINT))?;
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|e| Error::io(path, e))?;
        // The licence comes first, indented.
        if !line.starts_with(' ') {
            each(&line).ok_or_else(|| Error::line(path, index + 1, reason))?;
        }
    }
    Ok(())
}

fn name(word: &str) -> String {
    let word =
        ["(a)", "(p)", "(ip)"].iter().find_map(|mark| word.strip_suffix(mark)).unwrap_or(word);
    let word = word.split('.').next().unwrap_or_default();
    word.to_lowercase().replace('_', " ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::numerals;

    /// Debian's files, where they are installed.
    pub(crate) fn installed() -> Option<&'static Path> {
        let folder = Path::new("/usr/share/wordnet");
        if folder.exists() {
            return Some(folder);
        }
        let must = std::env::var_os("CLIP_DATA_REQUIRE_ALL").is_some();
        assert!(!must, "wordnet-base is not installed");
        eprintln!("skipped: wordnet-base is not installed");
        None
    }

    #[test]
    fn wordnet_and_the_numerals_are_the_published_86654() {
        let Some(folder) = installed() else { return };
        let names = names(folder).unwrap();
        assert_eq!(names.len(), 86_554);
        let mut texts: Vec<_> =
            names.into_iter().chain(numerals()).map(|query| query.text).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 86_654);
    }

    #[test]
    fn markers_and_dots_are_cut() {
        assert_eq!(name("Ice_Cream"), "ice cream");
        assert_eq!(name("galore(ip)"), "galore");
        assert_eq!(name("A.D."), "a");
    }
}
