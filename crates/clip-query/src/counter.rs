//! Counting words and pairs of neighbours in bounded memory.

use std::sync::Arc;

use crate::runs::{Scratch, SortedRun, merge};
use crate::{Dictionary, Result, hash, words};

/// What a counted text is made of: runs of words and of pairs, to be merged.
#[derive(Default)]
pub(crate) struct Counted {
    words: Vec<SortedRun>,
    pairs: Vec<SortedRun>,
    /// Words counted, each as often as it occurs.
    pub(crate) total: u64,
}

impl Counted {
    /// Adds what another worker counted.
    pub(crate) fn extend(&mut self, other: Self) {
        self.words.extend(other.words);
        self.pairs.extend(other.pairs);
        self.total += other.total;
    }

    /// Every word with its count, in no order that means anything.
    pub(crate) fn each_word(&self, mut each: impl FnMut(u64, Box<str>, u64)) -> Result<()> {
        merge(&self.words, |(hash, word): (u64, Box<str>), count| each(hash, word, count))
    }

    /// Every pair of neighbours, by their hashes, with its count.
    pub(crate) fn each_pair(&self, mut each: impl FnMut(u64, u64, u64)) -> Result<()> {
        merge(&self.pairs, |key: u128, count| each((key >> 64) as u64, key as u64, count))
    }
}

/// One worker's counts: what exceeds its share of memory goes to disk as sorted runs.
pub(crate) struct Counter {
    scratch: Scratch,
    keep_case: bool,
    /// Words of scripts without spaces.
    dictionary: Option<Arc<Dictionary>>,
    /// Whether pairs are counted too.
    pairs_too: bool,
    /// Bytes that the words may take, and pairs that may wait to be sorted.
    word_bytes: usize,
    pair_limit: usize,
    seen: hash::HashedMap<(u64, Box<str>)>,
    seen_bytes: usize,
    pairs: Vec<u128>,
    weighed: Vec<(u128, u64)>,
    done: Counted,
}

/// What the map needs for a word, beside its letters.
const ENTRY: usize = 56;

impl Counter {
    /// A counter that takes about `memory` bytes.
    pub(crate) fn new(scratch: Scratch, keep_case: bool, pairs_too: bool, memory: usize) -> Self {
        let memory = memory.max(1 << 16);
        Self {
            scratch,
            keep_case,
            dictionary: None,
            pairs_too,
            word_bytes: if pairs_too { memory / 3 } else { memory },
            pair_limit: memory / 2 / size_of::<u128>(),
            seen: hash::HashedMap::default(),
            seen_bytes: 0,
            pairs: Vec::new(),
            weighed: Vec::new(),
            done: Counted::default(),
        }
    }

    /// Cuts scripts without spaces into the words of a dictionary.
    pub(crate) fn with_dictionary(self, dictionary: Option<Arc<Dictionary>>) -> Self {
        Self { dictionary, ..self }
    }

    /// Counts the words and pairs of a text.
    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        let mut before = 0;
        let mut failed = Ok(());
        let dictionary = self.dictionary.clone();
        words::each_word(text, self.keep_case, dictionary.as_deref(), |word, near| {
            let hash = hash::word(word.as_bytes());
            let added = self.add(hash, word, 1).and_then(|()| {
                if near && self.pairs_too { self.pair(before, hash) } else { Ok(()) }
            });
            if failed.is_ok() {
                failed = added;
            }
            before = hash;
        });
        failed
    }

    /// Counts a word as it is spelt, so often.
    pub(crate) fn word(&mut self, word: &str, count: u64) -> Result<()> {
        self.add(hash::word(word.as_bytes()), word, count)
    }

    /// Counts a pair, so often, without its words.
    pub(crate) fn weighed_pair(&mut self, first: &str, second: &str, count: u64) -> Result<()> {
        let [a, b] = [first, second].map(|word| hash::word(word.as_bytes()));
        self.weighed.push((key(a, b), count));
        if self.weighed.len() >= self.pair_limit / 2 { self.spill_weighed(true) } else { Ok(()) }
    }

    fn add(&mut self, hash: u64, word: &str, count: u64) -> Result<()> {
        self.done.total += count;
        if let Some((sum, _)) = self.seen.get_mut(&hash) {
            *sum += count;
            return Ok(());
        }
        self.seen.insert(hash, (count, word.into()));
        self.seen_bytes += ENTRY + word.len();
        if self.seen_bytes > self.word_bytes { self.spill_words(true) } else { Ok(()) }
    }

    fn pair(&mut self, first: u64, second: u64) -> Result<()> {
        self.pairs.push(key(first, second));
        if self.pairs.len() >= self.pair_limit { self.spill_pairs(true) } else { Ok(()) }
    }

    fn spill_words(&mut self, disk: bool) -> Result<()> {
        let seen = std::mem::take(&mut self.seen);
        let mut counts: Vec<_> =
            seen.into_iter().map(|(hash, (count, word))| ((hash, word), count)).collect();
        counts.sort_unstable();
        self.seen_bytes = 0;
        self.done.words.push(SortedRun::write(counts, disk.then_some(&mut self.scratch))?);
        Ok(())
    }

    fn spill_pairs(&mut self, disk: bool) -> Result<()> {
        self.pairs.sort_unstable();
        let counts = self.pairs.iter().map(|&pair| (pair, 1));
        self.done.pairs.push(SortedRun::write(counts, disk.then_some(&mut self.scratch))?);
        self.pairs.clear();
        Ok(())
    }

    fn spill_weighed(&mut self, disk: bool) -> Result<()> {
        self.weighed.sort_unstable();
        let counts = self.weighed.iter().copied();
        self.done.pairs.push(SortedRun::write(counts, disk.then_some(&mut self.scratch))?);
        self.weighed.clear();
        Ok(())
    }

    /// The counts. What is still in memory stays there when nothing went to disk before.
    pub(crate) fn finish(mut self) -> Result<Counted> {
        let (words, pairs) = (!self.done.words.is_empty(), !self.done.pairs.is_empty());
        self.spill_words(words)?;
        self.spill_pairs(pairs)?;
        self.spill_weighed(pairs)?;
        Ok(self.done)
    }
}

fn key(first: u64, second: u64) -> u128 {
    u128::from(first) << 64 | u128::from(second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn count(memory: usize, text: &str) -> (Vec<(String, u64)>, Vec<u64>, u64, usize) {
        let scratch = Scratch::new(&std::env::temp_dir()).unwrap();
        let mut counter = Counter::new(scratch, false, true, memory);
        text.lines().for_each(|line| counter.text(line).unwrap());
        let counted = counter.finish().unwrap();
        let mut words = Vec::new();
        counted.each_word(|_, word, count| words.push((word.into(), count))).unwrap();
        words.sort();
        let mut pairs = Vec::new();
        counted.each_pair(|_, _, count| pairs.push(count)).unwrap();
        pairs.sort_unstable();
        (words, pairs, counted.total, counted.words.len())
    }

    #[test]
    fn little_memory_gives_the_counts_of_much() {
        // Words and pairs far beyond the least memory that a counter takes.
        let number = |i: usize| (i * 7919) % 5003;
        let line = |i: usize| format!("w{} w{} the w{}\n", number(i), i % 17, number(i * i));
        let text: String = (0..20_000).map(line).collect();
        let (words, pairs, total, runs) = count(0, &text);
        let (expected, expected_pairs, _, one) = count(1 << 30, &text);
        assert!(runs > 3 && one == 1, "{runs} {one}");
        assert_eq!(total, 80_000);
        assert_eq!(words, expected);
        assert_eq!(pairs, expected_pairs);
        let mut plain = BTreeMap::new();
        text.split_whitespace().for_each(|w| *plain.entry(w.to_owned()).or_insert(0) += 1);
        assert_eq!(words, plain.into_iter().collect::<Vec<_>>());
        assert_eq!(pairs.iter().sum::<u64>(), 60_000);
    }
}
