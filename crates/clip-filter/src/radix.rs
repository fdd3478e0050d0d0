//! The score at a rank among any number of rows: by counting, in 512 KiB, some passes over them.

use crate::Result;

/// Bits that a pass decides.
const DIGIT: u32 = 16;

/// A score as a number that is larger for a larger score; -0 and 0 are the same.
///
/// Scores of 32 bits have the lower half zero, so that half of the passes suffice.
pub(crate) fn key(score: f64, bits: u32) -> u64 {
    // Adding 0 makes 0 of -0.
    let score = score + 0.0;
    let ordered = |bits: u64, sign: u64| if bits & sign == 0 { bits | sign } else { !bits };
    if bits == 32 {
        let bits = u64::from((score as f32).to_bits()) << 32;
        ordered(bits, 1 << 63) & !0xffff_ffff
    } else {
        ordered(score.to_bits(), 1 << 63)
    }
}

/// The score of a key.
pub(crate) fn score(key: u64, bits: u32) -> f64 {
    let sign = 1 << 63;
    let plain = if key & sign == 0 { !key } else { key & !sign };
    if bits == 32 { f64::from(f32::from_bits((plain >> 32) as u32)) } else { f64::from_bits(plain) }
}

/// How many keys have each value of a digit.
pub(crate) struct Digits(Vec<u64>);

impl Digits {
    pub(crate) fn new() -> Self {
        Self(vec![0; 1 << DIGIT])
    }

    fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The counts of two parts of the rows.
    pub(crate) fn merge(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(sum, count)| *sum += count);
        self
    }
}

/// A key with some of its higher bits decided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prefix {
    value: u64,
    decided: u32,
}

impl Prefix {
    /// Counts a key if it has this prefix.
    pub(crate) fn count(self, key: u64, digits: &mut Digits) {
        let same = self.decided == 0 || (key ^ self.value) >> (64 - self.decided) == 0;
        if same {
            digits.0[(key >> (64 - DIGIT - self.decided) & 0xffff) as usize] += 1;
        }
    }
}

/// The key at a rank, how many are above it, and how many there are in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ranked {
    pub(crate) key: u64,
    pub(crate) above: u64,
    pub(crate) total: u64,
}

/// The key at a rank from the largest, 0 being that; nothing when there are no more keys than the
/// rank. `rank` gets the number of keys. `pass` counts all keys by a prefix, and is called once for
/// every 16 of `bits`.
pub(crate) fn at_rank(
    bits: u32,
    rank: impl FnOnce(u64) -> Option<u64>,
    mut pass: impl FnMut(Prefix) -> Result<Digits>,
) -> Result<Option<Ranked>> {
    let mut prefix = Prefix { value: 0, decided: 0 };
    let mut digits = pass(prefix)?;
    let total = digits.total();
    let Some(rank) = rank(total).filter(|&rank| rank < total) else { return Ok(None) };
    let mut above = 0;
    loop {
        for (digit, &count) in digits.0.iter().enumerate().rev() {
            if above + count > rank {
                prefix.value |= (digit as u64) << (64 - DIGIT - prefix.decided);
                break;
            }
            above += count;
        }
        prefix.decided += DIGIT;
        if prefix.decided >= bits {
            return Ok(Some(Ranked { key: prefix.value, above, total }));
        }
        digits = pass(prefix)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_key_at_a_rank_is_that_of_a_sort(
            scores in prop::collection::vec(prop_oneof![-2f32..2f32, Just(0f32), Just(-0f32)], 0..200),
            rank in 0u64..220, wide: bool) {
            let bits = if wide { 64 } else { 32 };
            let keys: Vec<u64> = scores.iter().map(|&s| key(f64::from(s), bits)).collect();
            let found = at_rank(bits, |_| Some(rank), |prefix| {
                let mut digits = Digits::new();
                keys.iter().for_each(|&key| prefix.count(key, &mut digits));
                Ok(digits)
            }).unwrap();
            let mut sorted = scores.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let wanted = sorted.get(rank as usize).copied();
            prop_assert_eq!(found.map(|ranked| score(ranked.key, bits) as f32), wanted.map(|s| s + 0.0));
            if let (Some(found), Some(wanted)) = (found, wanted) {
                let above = scores.iter().filter(|&&s| s > wanted).count() as u64;
                prop_assert_eq!(found.above, above);
            }
        }
    }
}
