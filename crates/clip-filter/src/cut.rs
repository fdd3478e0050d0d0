//! Exact fractions: the last pair that is in, found in bounded memory.

use std::path::Path;

use clip_corpus::{IoContext, SubsetWriter};

use crate::radix::{Digits, Prefix, at_rank, key, score};
use crate::scan::{Rows, Scan};
use crate::{Error, Result};

/// The best of the pairs that meet all conditions.
#[derive(Debug, Clone, PartialEq)]
pub struct Top {
    /// The column of the score.
    pub column: String,
    /// The fraction that is kept: of n pairs exactly floor(fraction n), by score, then uid. A pair
    /// without a score is the worst.
    pub fraction: f64,
}

impl Top {
    /// Refuses what is no fraction, and one that keeps nothing.
    pub(crate) fn check(&self) -> Result<()> {
        if self.fraction > 0.0 && self.fraction <= 1.0 {
            return Ok(());
        }
        let why = format!("{}={}: not a fraction above 0, up to 1", self.column, self.fraction);
        Err(Error::Settings(format!("{why}\nhint: 0.3 keeps the best 30%")))
    }
}

/// What pairs are ranked by; 0, which no number has, for those without a score.
fn score_key(score: Option<f64>, bits: u32) -> u64 {
    score.filter(|score| !score.is_nan()).map_or(0, |score| key(score, bits))
}

/// The last pair of a fraction: those with a higher score are in, and of those with just this one
/// the first by uid.
pub(crate) struct Limit {
    key: u64,
    /// Of the scores: 32 or 64.
    bits: u32,
    last: u128,
    /// How many pairs with this very score and uid are in, the first that come.
    copies: u64,
}

impl Limit {
    /// The last pair of a fraction; nothing when it keeps none. What is sorted is in a file of
    /// `scratch`.
    pub(crate) fn find(scan: &Scan, top: &Top, scratch: &Path) -> Result<Option<Self>> {
        let place = scan.value(&top.column);
        let place = place.ok_or_else(|| Error::Settings(format!("no column {:?}", top.column)))?;
        if !scan.numeric[place] {
            return Err(Error::Settings(format!("column {} is no score: no numbers", top.column)));
        }
        let bits = scan.bits(place);
        let visit = |each: &mut (dyn FnMut(u128, u64) -> Result<()> + Send)| {
            scan.visit(Rows::Chosen, &[place], |rows| {
                let ids = rows.ids.iter().enumerate().filter_map(|(at, id)| Some((at, (*id)?)));
                ids.into_iter()
                    .try_for_each(|(at, id)| each(id, score_key(rows.number(0, at), bits)))
            })
        };
        let wanted = |pairs: u64| exact_floor(top.fraction, pairs);
        let rank = |pairs: u64| wanted(pairs).checked_sub(1);
        let ranked = at_rank(bits, rank, |prefix: Prefix| {
            let mut digits = Digits::new();
            visit(&mut |_, key| {
                prefix.count(key, &mut digits);
                Ok(())
            })?;
            Ok(digits)
        })?;
        let Some(ranked) = ranked else { return Ok(None) };
        // Those with just this score, by uid.
        let path = scratch.join("equal.npy");
        let mut equal = SubsetWriter::new(&path);
        visit(&mut |id, key| if key == ranked.key { Ok(equal.push(id)?) } else { Ok(()) })?;
        equal.finish()?;
        let (last, copies) = id_at(&path, wanted(ranked.total) - ranked.above - 1)?;
        std::fs::remove_file(&path).at(&path)?;
        Ok(Some(Self { key: ranked.key, bits, last, copies }))
    }

    /// The score of the last pair; nothing when it has none.
    pub(crate) fn score(&self) -> Option<f64> {
        (self.key > 0).then(|| score(self.key, self.bits))
    }

    /// Whether a pair is in. Of pairs with the same score and uid the first that come are.
    pub(crate) fn takes(&mut self, score: Option<f64>, id: u128) -> bool {
        let own = score_key(score, self.bits);
        if own != self.key || id != self.last {
            return own > self.key || own == self.key && id < self.last;
        }
        let takes = self.copies > 0;
        self.copies -= u64::from(takes);
        takes
    }
}

/// The id at a place of a subset file, and how many up to there are equal to it.
fn id_at(path: &Path, place: u64) -> Result<(u128, u64)> {
    let (mut last, mut copies) = (0, 0);
    for (at, id) in (0..=place).zip(clip_corpus::subset_ids(path)?) {
        let id = id?;
        copies = if at > 0 && id == last { copies + 1 } else { 1 };
        last = id;
    }
    Ok((last, copies))
}

/// `floor(fraction n)` of the decimal number that the fraction is written as: 0.29 of 100 is 29,
/// though the nearest number of 64 bits is less.
fn exact_floor(fraction: f64, n: u64) -> u64 {
    let text = fraction.to_string();
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    // More digits than this change nothing below 10^19 pairs.
    let decimals = &decimals[..decimals.len().min(18)];
    let digits: u128 = format!("{whole}{decimals}").parse().unwrap_or(0);
    (u128::from(n) * digits / 10u128.pow(decimals.len() as u32)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_is_the_decimal_number_that_was_written() {
        for (fraction, n, wanted) in [
            (0.3, 10, 3),
            (0.29, 100, 29),
            (0.57, 100, 57),
            (0.0, 10, 0),
            (1.0, 7, 7),
            (1e-7, 20_000_000, 2),
            (0.1, 12_800_000_000, 1_280_000_000),
        ] {
            assert_eq!(exact_floor(fraction, n), wanted, "{fraction} {n}");
        }
    }
}
