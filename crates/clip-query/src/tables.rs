//! Files of counts: `word<TAB>count`, `first second<TAB>count`.

use std::path::Path;

use crate::counter::Counter;
use crate::open::each_line;
use crate::query::folded;
use crate::{Error, Result};

/// How many words a line has before its count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columns {
    Word,
    Pair,
}

/// Adds a file of counts; returns its lines. Empty lines are skipped; the words of a pair are
/// apart by a space or a tab.
pub(crate) fn read(
    path: &Path,
    columns: Columns,
    keep_case: bool,
    counter: &mut Counter,
    advance: &(dyn Fn(u64) + Sync),
) -> Result<u64> {
    let mut lines = 0;
    each_line(path, advance, |number, line| {
        let line = std::str::from_utf8(line).map_err(|_| Error::line(path, number, "not UTF-8"))?;
        if line.trim().is_empty() {
            return Ok(());
        }
        lines += 1;
        let spelt: String = if keep_case { line.to_owned() } else { folded(line) };
        let entry = spelt.rsplit_once('\t');
        let entry = entry.and_then(|(words, count)| Some((words, count.trim().parse().ok()?)));
        let pair = |words: &str| {
            let (a, b) = words.split_once([' ', '\t'])?;
            let (a, b) = (a.trim(), b.trim());
            (!a.is_empty() && !b.is_empty()).then(|| (a.to_owned(), b.to_owned()))
        };
        match (columns, entry) {
            (Columns::Word, Some((word, count))) => counter.word(word.trim(), count),
            (Columns::Pair, Some((words, count))) if pair(words).is_some() => {
                let (a, b) = pair(words).unwrap_or_default();
                counter.weighed_pair(&a, &b, count)
            }
            (Columns::Word, _) => Err(Error::line(
                path,
                number,
                "not `word<TAB>count`\nhint: pairs are for --bigram-counts, text is for --text",
            )),
            (Columns::Pair, _) => Err(Error::line(
                path,
                number,
                "not `first second<TAB>count`\nhint: single words are for --counts",
            )),
        }
    })?;
    Ok(lines)
}
