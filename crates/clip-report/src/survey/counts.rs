//! Counts by name, and spreads of whole numbers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::DISTINCT;

/// How often each name was seen; the empty name is not counted.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    names: HashMap<String, u64>,
    others: u64,
}

impl Counts {
    /// Counts a name.
    pub fn add(&mut self, name: &str) {
        if name.is_empty() {
            return;
        }
        if let Some(count) = self.names.get_mut(name) {
            *count += 1;
        } else if self.names.len() < DISTINCT {
            self.names.insert(name.to_owned(), 1);
        } else {
            self.others += 1;
        }
    }

    /// Different names.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no name was counted.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// All that was counted.
    pub fn total(&self) -> u64 {
        self.names.values().sum::<u64>() + self.others
    }

    /// The names seen most often.
    pub fn top(&self, most: usize) -> Vec<(&str, u64)> {
        let mut names: Vec<(&str, u64)> =
            self.names.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        names.sort_by_key(|(name, count)| (Reverse(*count), *name));
        names.truncate(most);
        names
    }
}

/// How often each value was seen.
#[derive(Debug, Default, Clone)]
pub struct Spread {
    values: BTreeMap<u64, u64>,
    count: u64,
}

impl Spread {
    /// Counts a value.
    pub fn add(&mut self, value: u64) {
        *self.values.entry(value).or_default() += 1;
        self.count += 1;
    }

    /// Values counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The smallest value, 0 when there is none.
    pub fn min(&self) -> u64 {
        self.values.keys().next().copied().unwrap_or(0)
    }

    /// The largest value, 0 when there is none.
    pub fn max(&self) -> u64 {
        self.values.keys().next_back().copied().unwrap_or(0)
    }

    /// The value that half of the others do not exceed.
    pub fn median(&self) -> u64 {
        let mut seen = 0;
        for (value, count) in &self.values {
            seen += count;
            if 2 * seen >= self.count {
                return *value;
            }
        }
        0
    }

    /// Counts between edges: below the first, from each to the next, and from the last on.
    pub fn between(&self, edges: &[u64]) -> Vec<u64> {
        let mut counts = vec![0; edges.len() + 1];
        for (value, count) in &self.values {
            counts[edges.partition_point(|edge| edge <= value)] += count;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_have_medians_and_bins() {
        let mut spread = Spread::default();
        [5, 1, 9, 9, 100].into_iter().for_each(|value| spread.add(value));
        assert_eq!((spread.min(), spread.median(), spread.max()), (1, 9, 100));
        assert_eq!(spread.between(&[5, 10]), [1, 3, 1]);
        assert_eq!(Spread::default().median(), 0);
    }
}
