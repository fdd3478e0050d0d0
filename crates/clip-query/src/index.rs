//! Every query's tokens in one table: from the tokens so far, and the next one, to the query that
//! ends there.
//!
//! An entry for every beginning of a query, keyed by the hash of its tokens. Hashes only lead to a
//! query: what is found is compared letter by letter.

use crate::hash;
use crate::tokens::Tokens;
use crate::{Error, Result};

const NO_PATTERN: u32 = 0x7fff_ffff;
const GOES_ON: u32 = 0x8000_0000;
const START: u64 = 0x5bd1_e995_9e37_79b9;

#[derive(Debug, Clone, Copy)]
struct Slot {
    key: u64,
    /// The pattern that ends here, and in the highest bit whether others continue; zero when the
    /// slot is free.
    value: u32,
}

/// Patterns, each a row of tokens with the list of its queries.
#[derive(Debug)]
pub(crate) struct Index {
    slots: Vec<Slot>,
    mask: usize,
    /// The patterns' spaced texts, one after another, and where each ends.
    text: Vec<u8>,
    ends: Vec<u32>,
    /// First query of each pattern; next query of the same pattern.
    first: Vec<u32>,
    next: Vec<u32>,
    longest: usize,
}

/// No query.
const NONE: u32 = u32::MAX;

impl Index {
    /// Makes the table of this many queries; `tokens` takes a query apart.
    pub(crate) fn build<'a>(
        queries: impl ExactSizeIterator<Item = &'a str>,
        mut tokens: impl FnMut(&str, &mut Tokens) -> usize,
    ) -> Result<Self> {
        let count = queries.len();
        if count >= NO_PATTERN as usize {
            return Err(Error::Matcher(format!("{count} queries are too many")));
        }
        let mut index = Self {
            slots: vec![Slot { key: 0, value: 0 }; (count * 2).next_power_of_two().max(16)],
            mask: 0,
            // Pattern 0 is none, so that a slot's value is never 0.
            text: Vec::new(),
            ends: vec![0],
            first: vec![NONE],
            next: vec![NONE; count],
            longest: 0,
        };
        index.mask = index.slots.len() - 1;
        let mut used = 0;
        let mut buffer = Tokens::default();
        // From the last to the first, so that the queries of a pattern come out in order.
        let queries: Vec<&str> = queries.collect();
        for (id, query) in queries.iter().enumerate().rev() {
            let length = tokens(query, &mut buffer);
            if query.trim().is_empty() || length == 0 {
                continue;
            }
            index.longest = index.longest.max(length);
            let mut key = START;
            for at in 0..length {
                key = hash::then(key, buffer.hash(at));
                if (used + 1) * 3 > index.slots.len() * 2 {
                    index.grow();
                }
                let slot = index.slot(key);
                if index.slots[slot].value == 0 {
                    index.slots[slot] = Slot { key, value: NO_PATTERN };
                    used += 1;
                }
                if at + 1 < length {
                    index.slots[slot].value |= GOES_ON;
                } else {
                    index.end(slot, id as u32, buffer.slice(0, at))?;
                }
            }
        }
        if index.first.len() == 1 {
            return Err(Error::Matcher("it is empty".into()));
        }
        Ok(index)
    }

    /// The slot of a key, or the free one where it would go.
    fn slot(&self, key: u64) -> usize {
        let mut at = key as usize & self.mask;
        while self.slots[at].value != 0 && self.slots[at].key != key {
            at = (at + 1) & self.mask;
        }
        at
    }

    fn grow(&mut self) {
        let twice = vec![Slot { key: 0, value: 0 }; self.slots.len() * 2];
        self.mask = twice.len() - 1;
        for slot in std::mem::replace(&mut self.slots, twice) {
            if slot.value != 0 {
                let at = self.slot(slot.key);
                self.slots[at] = slot;
            }
        }
    }

    fn end(&mut self, slot: usize, id: u32, spelt: &[u8]) -> Result<()> {
        let value = self.slots[slot].value;
        let pattern = value & !GOES_ON;
        if pattern == NO_PATTERN {
            self.slots[slot].value = (value & GOES_ON) | self.ends.len() as u32;
            return self.push(spelt, id);
        }
        if self.spelt(pattern) != spelt {
            return Err(Error::Matcher(format!(
                "two queries have one hash: `{}` and `{}`",
                String::from_utf8_lossy(self.spelt(pattern)),
                String::from_utf8_lossy(spelt)
            )));
        }
        self.next[id as usize] = std::mem::replace(&mut self.first[pattern as usize], id);
        Ok(())
    }

    fn push(&mut self, spelt: &[u8], id: u32) -> Result<()> {
        self.text.extend(spelt);
        let end = u32::try_from(self.text.len());
        self.ends.push(end.map_err(|_| Error::Matcher("it exceeds 4 GB".into()))?);
        self.first.push(id);
        Ok(())
    }

    fn spelt(&self, pattern: u32) -> &[u8] {
        let pattern = pattern as usize;
        &self.text[self.ends[pattern - 1] as usize..self.ends[pattern] as usize]
    }

    /// Calls `found` with each query, and its first and last token, that the tokens contain; a
    /// query that is there again is found again.
    pub(crate) fn find(&self, tokens: &Tokens, mut found: impl FnMut(u32, usize, usize)) {
        for first in 0..tokens.len() {
            let mut key = START;
            for last in first..tokens.len().min(first + self.longest) {
                key = hash::then(key, tokens.hash(last));
                let value = self.slots[self.slot(key)].value;
                if value == 0 {
                    break;
                }
                let pattern = value & !GOES_ON;
                if pattern != NO_PATTERN && self.spelt(pattern) == tokens.slice(first, last) {
                    let mut query = self.first[pattern as usize];
                    while query != NONE {
                        found(query, first, last);
                        query = self.next[query as usize];
                    }
                }
                if value & GOES_ON == 0 {
                    break;
                }
            }
        }
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&self.slots[..])
            + self.text.len()
            + 4 * (self.ends.len() + self.first.len() + self.next.len())
    }
}
