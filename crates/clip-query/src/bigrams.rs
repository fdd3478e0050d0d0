//! Pairs of words that occur together more often than apart (paper, section 2.2: "bi-grams with
//! high pointwise mutual information").

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::chars::unspaced;
use crate::counter::Counted;
use crate::hash::HashedMap;
use crate::{Query, QuerySource, Result};

/// Which pairs become queries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BigramRule {
    /// Least count of a pair.
    pub min_count: u64,
    /// Least pointwise mutual information, in bits.
    pub min_pmi: Option<f64>,
    /// Least normalised pointwise mutual information, up to 1. When it is given, pairs are ranked
    /// by it.
    pub min_npmi: Option<f64>,
    /// Most pairs: the best by score.
    pub most: usize,
}

/// Pointwise mutual information in bits, as NLTK defines it: of a pair that occurs `pair` times,
/// its words `first` and `second` times, in a text of `total` words.
pub fn pmi(pair: u64, first: u64, second: u64, total: u64) -> f64 {
    (pair as f64 * total as f64).log2() - (first as f64 * second as f64).log2()
}

/// PMI by the largest value that it can have for that count: 1 when the words occur together only.
pub fn npmi(pair: u64, first: u64, second: u64, total: u64) -> f64 {
    let most = (total as f64).log2() - (pair as f64).log2();
    if most > 0.0 { pmi(pair, first, second, total) / most } else { 1.0 }
}

/// A pair with its rank: the better, the greater.
#[derive(Debug, Clone, PartialEq)]
struct Ranked {
    score: f64,
    count: u64,
    text: String,
}

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let scores = self.score.total_cmp(&other.score);
        let counts = scores.then_with(|| self.count.cmp(&other.count));
        counts.then_with(|| other.text.cmp(&self.text))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The pairs that pass, best first, and how many passed.
pub(crate) fn select(
    counted: &Counted,
    vocabulary: &HashedMap<(u64, Box<str>)>,
    rule: BigramRule,
) -> Result<(Vec<Query>, u64)> {
    let mut best: BinaryHeap<std::cmp::Reverse<Ranked>> = BinaryHeap::new();
    let mut passed = 0;
    counted.each_pair(|first, second, count| {
        if count < rule.min_count {
            return;
        }
        let (Some((a, first)), Some((b, second))) =
            (vocabulary.get(&first), vocabulary.get(&second))
        else {
            return;
        };
        let pmi = pmi(count, *a, *b, counted.total);
        let npmi = npmi(count, *a, *b, counted.total);
        if rule.min_pmi.is_some_and(|least| pmi < least)
            || rule.min_npmi.is_some_and(|least| npmi < least)
        {
            return;
        }
        passed += 1;
        let score = if rule.min_npmi.is_some() { npmi } else { pmi };
        let ranked = std::cmp::Reverse(Ranked { score, count, text: join(first, second) });
        if best.len() < rule.most {
            best.push(ranked);
        } else if let Some(mut worst) = best.peek_mut()
            && ranked < *worst
        {
            *worst = ranked;
        }
    })?;
    let best = best.into_sorted_vec().into_iter().map(|std::cmp::Reverse(ranked)| Query {
        text: ranked.text,
        source: QuerySource::Bigram,
        count: ranked.count,
        score: ranked.score,
    });
    Ok((best.collect(), passed))
}

/// Two words as they are in a text: scripts that write no spaces get none.
fn join(first: &str, second: &str) -> String {
    let close = |c: Option<char>| c.is_some_and(unspaced);
    let space = if close(first.chars().last()) && close(second.chars().next()) { "" } else { " " };
    format!("{first}{space}{second}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_nltks() {
        // BigramAssocMeasures.pmi(20, (42, 20), 14307668) of NLTK's own documentation.
        assert!((pmi(20, 42, 20, 14_307_668) - 18.38).abs() < 0.005);
        assert!((npmi(20, 20, 20, 14_307_668) - 1.0).abs() < 1e-12);
        // Words that are independent score nothing.
        assert!(pmi(4, 20, 20, 100).abs() < 1e-12);
        assert_eq!(npmi(5, 5, 5, 5), 1.0);
    }

    #[test]
    fn the_better_rank_first() {
        let ranked = |score, count, text: &str| Ranked { score, count, text: text.into() };
        assert!(ranked(2.0, 1, "b") > ranked(1.0, 9, "a"));
        assert!(ranked(1.0, 9, "b") > ranked(1.0, 8, "a"));
        assert!(ranked(1.0, 9, "a") > ranked(1.0, 9, "b"));
        assert_eq!(join("new", "york"), "new york");
        assert_eq!(join("手", "机"), "手机");
    }
}
