//! Frequent words of a text (paper, section 2.2: all words that occur at least 100 times in Wikipedia).

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::{Error, Query, QuerySource, Result};

/// Words that occur at least `least` times over all `texts` and count files together, the most frequent first,
/// then by spelling.
///
/// A word is a run of letters, with marks like `'` and `-` inside it; case does not distinguish words.
pub fn frequent(texts: &[PathBuf], counts: &[PathBuf], least: u64) -> Result<Vec<Query>> {
    let mut all: HashMap<String, u64> = HashMap::new();
    for path in texts {
        lines(path, |_, line| {
            for word in words(line) {
                *all.entry(word.to_lowercase()).or_default() += 1;
            }
            Ok(())
        })?;
    }
    for path in counts {
        lines(path, |number, line| {
            if line.is_empty() {
                return Ok(());
            }
            let entry = line.split_once('\t');
            let entry =
                entry.and_then(|(word, count)| Some((word, count.trim().parse::<u64>().ok()?)));
            let (word, count) = entry.ok_or_else(|| Error::Line {
                path: path.clone(),
                line: number,
                reason: "not `word<TAB>count`".into(),
            })?;
            *all.entry(word.to_lowercase()).or_default() += count;
            Ok(())
        })?;
    }
    let mut kept: Vec<(String, u64)> =
        all.into_iter().filter(|&(_, count)| count >= least).collect();
    kept.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let query = |(text, count): (String, u64)| Query {
        text,
        source: QuerySource::Unigram,
        count,
        score: count as f64,
    };
    Ok(kept.into_iter().map(query).collect())
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    let inside = |c: char| c.is_alphabetic() || c == '\'' || c == '-';
    let pieces = line.split(move |c: char| !inside(c));
    pieces.map(|word| word.trim_matches(['\'', '-'])).filter(|word| !word.is_empty())
}

fn lines(path: &Path, mut each: impl FnMut(usize, &str) -> Result<()>) -> Result<()> {
    let mut reader = BufReader::new(File::open(path).map_err(|e| Error::io(path, e))?);
    let mut bytes = Vec::new();
    let mut number = 0;
    loop {
        bytes.clear();
        number += 1;
        if reader.read_until(b'\n', &mut bytes).map_err(|e| Error::io(path, e))? == 0 {
            return Ok(());
        }
        let line = std::str::from_utf8(&bytes).map_err(|_| Error::Line {
            path: path.to_path_buf(),
            line: number,
            reason: "not UTF-8".into(),
        })?;
        each(number, line.trim_end_matches(['\n', '\r']))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_counts_add_up_and_rare_words_fall() {
        let folder = tempfile::tempdir().unwrap();
        let (text, counts) = (folder.path().join("t.txt"), folder.path().join("c.tsv"));
        std::fs::write(&text, "The cat's hat; the well-kept CAT -- 7 cats\n").unwrap();
        std::fs::write(&counts, "cat\t3\nrare\t1\n").unwrap();
        let found = frequent(&[text], std::slice::from_ref(&counts), 2).unwrap();
        let found: Vec<_> = found.iter().map(|q| (q.text.as_str(), q.count)).collect();
        assert_eq!(found, [("cat", 4), ("the", 2)]);
        std::fs::write(&counts, "cat 3\n").unwrap();
        let message = frequent(&[], &[counts], 2).unwrap_err().to_string();
        assert!(message.contains("line 1"), "{message}");
    }
}
