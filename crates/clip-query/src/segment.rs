//! Words of scripts that are written without spaces, by a dictionary.
//!
//! A run of such a script is cut where its words are likeliest: each has its share of all counts as
//! its probability. That is jieba's cut without its model of unknown words; where all words count
//! alike, it is the cut into the fewest words (maximal matching).

use std::path::Path;

use crate::chars::{LONGEST_WORD, cluster, unspaced};
use crate::hash::{self, HashedMap};
use crate::open::each_line;
use crate::{Error, Result};

/// Of a word without a count: more than the 1 that a character counts which is no word.
const UNCOUNTED: u64 = 2;
const START: u64 = 0x2545_f491_4f6c_dd1d;

/// Words with their counts.
#[derive(Debug, Default)]
pub struct Dictionary {
    /// Counts of words, by the hash of their characters; 0 for what only begins words.
    counts: HashedMap<u64>,
    total: u64,
    len: u64,
    skipped: u64,
}

impl Dictionary {
    /// Reads a file, packed or not, of lines `word`, `word count` or `word count tag` (jieba's);
    /// of a word that is there again the last count is taken, and words without one count alike.
    /// Lines with other scripts are skipped.
    ///
    /// # Errors
    /// When no line is a word of a script without spaces; it names the file.
    pub fn open(path: &Path) -> Result<Self> {
        let mut dictionary = Self::default();
        each_line(path, &|_| (), |number, line| {
            let line = std::str::from_utf8(line);
            let line = line.map_err(|_| Error::line(path, number, "not UTF-8"))?;
            let line = line.trim_start_matches('\u{feff}').trim();
            if !line.is_empty() {
                let (word, count) = entry(line);
                dictionary.add(word, count);
            }
            Ok(())
        })?;
        if dictionary.len == 0 {
            let reason = "no line is a word of a script that is written without spaces";
            let hint = "a word a line, perhaps with its count: Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan";
            return Err(Error::file(path, reason, hint));
        }
        Ok(dictionary)
    }

    /// A dictionary of words with their counts.
    pub fn from_words<'a>(words: impl IntoIterator<Item = (&'a str, u64)>) -> Self {
        let mut dictionary = Self::default();
        words.into_iter().for_each(|(word, count)| dictionary.add(word, count));
        dictionary
    }

    fn add(&mut self, word: &str, count: u64) {
        self.total = self.total.saturating_add(count);
        if count == 0 || word.len() > LONGEST_WORD || !word.chars().all(unspaced) || word.is_empty()
        {
            self.skipped += 1;
            return;
        }
        let (mut key, mut rest) = (START, word);
        while !rest.is_empty() {
            let (first, after) = rest.split_at(cluster(rest));
            key = hash::then(key, hash::word(first.as_bytes()));
            rest = after;
            let known = self.counts.entry(key).or_default();
            if rest.is_empty() {
                self.len += u64::from(*known == 0);
                *known = count;
            }
        }
    }

    /// Number of words.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no word.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Lines that are no words.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Cuts a run of a script without spaces; where no word of the dictionary begins, a character
    /// with its signs stands alone, and is none.
    pub fn cut<'a>(&self, run: &'a str) -> Vec<(&'a str, bool)> {
        let mut starts = vec![0];
        while let Some(&at) = starts.last().filter(|&&at| at < run.len()) {
            starts.push(at + cluster(&run[at..]));
        }
        let hashes: Vec<u64> =
            starts.windows(2).map(|at| hash::word(&run.as_bytes()[at[0]..at[1]])).collect();
        // From the end: the best score of what begins here, and where its first word ends.
        let mut best = vec![(0.0, 0, false); hashes.len() + 1];
        let total = (self.total as f64).ln();
        for first in (0..hashes.len()).rev() {
            let mut here: Option<(f64, usize, bool)> = None;
            let mut key = START;
            for last in first..hashes.len() {
                key = hash::then(key, hashes[last]);
                let Some(&count) = self.counts.get(&key) else { break };
                let score = (count as f64).ln() - total + best[last + 1].0;
                // Of equal scores the longer word.
                if count > 0 && here.is_none_or(|(most, ..)| score >= most) {
                    here = Some((score, last + 1, true));
                }
            }
            best[first] = here.unwrap_or((0.0 - total + best[first + 1].0, first + 1, false));
        }
        let mut words = Vec::new();
        let mut at = 0;
        while at < hashes.len() {
            let (_, end, known) = best[at];
            words.push((&run[starts[at]..starts[end]], known));
            at = end;
        }
        words
    }
}

/// The word of a line, and its count.
fn entry(line: &str) -> (&str, u64) {
    let mut fields = line.split([' ', '\t']);
    let (word, count) = (fields.next().unwrap_or_default(), fields.next());
    count.and_then(|count| count.parse().ok()).map_or((line, UNCOUNTED), |count| (word, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(words: &[(&str, u64)], run: &str) -> String {
        let dictionary = Dictionary::from_words(words.iter().copied());
        let cut = dictionary.cut(run);
        let words = cut.iter().map(
            |&(word, known)| {
                if known { word.to_owned() } else { format!("({word})") }
            },
        );
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn equal_counts_give_the_fewest_words() {
        let words = ["ตา", "ตาก", "กลม", "ลม"].map(|word| (word, UNCOUNTED));
        assert_eq!(cut(&words, "ตากลม"), "ตาก ลม");
        let words = ["研究", "研究生", "生命", "起源"].map(|word| (word, UNCOUNTED));
        assert_eq!(cut(&words, "研究生命起源"), "研究 生命 起源");
    }

    #[test]
    fn counts_decide_between_cuts() {
        let words = [("ab", 1), ("南京", 50), ("南京市", 90), ("市长", 80), ("长江", 60)];
        let words = [&words[..], &[("长江大桥", 70), ("大桥", 20)]].concat();
        assert_eq!(cut(&words, "南京市长江大桥"), "南京市 长江大桥");
        let words = [("中国", 1000), ("国人", 1), ("中", 1), ("人", 500)];
        assert_eq!(cut(&words, "中国人"), "中国 人");
    }

    #[test]
    fn what_no_word_begins_is_no_word_and_signs_stay_with_their_character() {
        assert_eq!(cut(&[("猫", 3)], "黑猫咪"), "(黑) 猫 (咪)");
        assert_eq!(cut(&[("กิน", 3)], "ที่กิน"), "(ที่) กิน");
        assert_eq!(cut(&[("猫", 3)], ""), "");
        // A word ends where a character ends: ก is none of กิ.
        assert_eq!(cut(&[("ก", 3)], "กิ"), "(กิ)");
    }

    #[test]
    fn lines_are_words_with_or_without_counts() {
        assert_eq!(entry("南京市 90 ns"), ("南京市", 90));
        assert_eq!(entry("南京市\t90"), ("南京市", 90));
        assert_eq!(entry("南京市"), ("南京市", UNCOUNTED));
        assert_eq!(entry("ก ข"), ("ก ข", UNCOUNTED));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.txt");
        std::fs::write(&path, "\u{feff}手机 7 n\n\nT恤 3 n\nCafé\n手机 9 n\n空 0\n").unwrap();
        let words = Dictionary::open(&path).unwrap();
        assert_eq!((words.len(), words.skipped(), words.total), (1, 3, 21));
        std::fs::write(&path, "boat 7\n").unwrap();
        let message = Dictionary::open(&path).unwrap_err().to_string();
        assert!(message.contains("words.txt: no line is a word"), "{message}");
    }
}
