//! All pairs of 64-bit hashes within a Hamming distance, exactly as brute force would find them.
//!
//! The 64 bits are cut into blocks. Two hashes that differ in at most `radius` bits are equal in
//! all blocks but `radius` of them (pigeonhole), so for each choice of that many blocks the hashes
//! that are equal there are compared. A pair that several choices find counts in the first. Each
//! choice is one sort, so a list may be cut by [`NearJoin::key`] where memory is short.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

/// Two places in a list of hashes, the lower first, and the bits in which the hashes differ.
pub type Pair = (u32, u32, u32);

/// Pairs that are handed over at a time.
const BATCH: usize = 1 << 16;
/// Cost of sorting a hash into its group, in comparisons of hashes.
const SORT: f64 = 40.0;
/// Hashes of a group whose comparisons are shared among threads.
const LARGE: usize = 1 << 12;

/// One choice of blocks: it finds the pairs that are equal in them.
#[derive(Debug, Clone)]
pub struct NearJoin {
    radius: u32,
    /// The bits of the chosen blocks.
    mask: u64,
    /// The bits of every block, and how many are chosen.
    blocks: Vec<u64>,
    chosen: usize,
}

impl NearJoin {
    /// The joins that together find every pair of `count` hashes within `radius` bits, each once,
    /// for least work.
    pub fn plan(count: u64, radius: u32) -> Vec<Self> {
        // All with all, or blocks of which all but `radius` are equal.
        let cuts = (radius + 1..=radius.saturating_add(6)).take_while(|blocks| *blocks <= 64);
        let plans = std::iter::once((1, 0)).chain(cuts.map(|blocks| (blocks, blocks - radius)));
        let cost = |&(blocks, chosen): &(u32, u32)| {
            let joins: f64 =
                (0..blocks - chosen).map(|at| f64::from(blocks - at) / f64::from(at + 1)).product();
            let joins = if chosen == 0 { 1.0 } else { joins };
            let groups = f64::from(chosen * 64 / blocks).exp2();
            joins * (SORT + count as f64 / groups / 2.0)
        };
        let best = plans.min_by(|a, b| cost(a).total_cmp(&cost(b)));
        let (blocks, chosen) = best.unwrap_or((1, 0));
        let blocks: Vec<u64> = (0..blocks)
            .map(|at| below((at + 1) * 64 / blocks) & !below(at * 64 / blocks))
            .collect();
        let chosen = chosen as usize;
        let mut masks = vec![(0, 0)];
        for _ in 0..chosen {
            // One more block, behind the last, so that each choice comes once.
            let more = |&(mask, next): &(u64, usize)| {
                (next..blocks.len()).map(move |at| (at, mask)).collect::<Vec<_>>()
            };
            masks = masks
                .iter()
                .flat_map(more)
                .map(|(at, mask): (usize, u64)| (mask | blocks[at], at + 1))
                .collect();
        }
        let join = |(mask, _)| Self { radius, mask, blocks: blocks.clone(), chosen };
        masks.into_iter().map(join).collect()
    }

    /// What hashes that this join compares have in common.
    pub fn key(&self, hash: u64) -> u64 {
        hash & self.mask
    }

    /// Gives the pairs of this join to `visit`, in no order, a batch at a time, from several
    /// threads at once: what is beside both hashes, and the bits in which these differ. Sorts the
    /// hashes.
    pub fn pairs<T: Copy + Send + Sync>(
        &self,
        hashes: &mut [(u64, T)],
        visit: impl Fn(&[(T, T, u32)]) + Sync,
    ) {
        hashes.par_sort_unstable_by_key(|(hash, _)| self.key(*hash));
        let deliver = |batch: Vec<(T, T, u32)>| {
            if !batch.is_empty() {
                visit(&batch);
            }
        };
        let collect = |mut batch: Vec<(T, T, u32)>, group: &[(u64, T)]| {
            if group.len() > LARGE {
                (1..group.len()).into_par_iter().for_each(|at| {
                    let mut batch = Vec::new();
                    self.compare(group[at], &group[..at], &mut batch);
                    deliver(batch);
                });
                return batch;
            }
            for at in 1..group.len() {
                self.compare(group[at], &group[..at], &mut batch);
                if batch.len() >= BATCH {
                    visit(&batch);
                    batch.clear();
                }
            }
            batch
        };
        hashes
            .par_chunk_by(|a, b| self.key(a.0) == self.key(b.0))
            .fold(Vec::new, collect)
            .for_each(deliver);
    }

    /// Appends the pairs of one hash with others of its group.
    fn compare<T: Copy>(
        &self,
        (hash, value): (u64, T),
        others: &[(u64, T)],
        found: &mut Vec<(T, T, u32)>,
    ) {
        for &(other, other_value) in others {
            let difference = hash ^ other;
            let distance = difference.count_ones();
            if distance <= self.radius && self.finds_first(difference) {
                found.push((other_value, value, distance));
            }
        }
    }

    /// Whether no earlier join finds a pair with this difference.
    fn finds_first(&self, difference: u64) -> bool {
        let equal = self.blocks.iter().filter(|block| difference & **block == 0);
        equal.take(self.chosen).fold(0, |mask, block| mask | block) == self.mask
    }
}

/// The bits below a place.
fn below(bit: u32) -> u64 {
    1u64.checked_shl(bit).map_or(u64::MAX, |bit| bit - 1)
}

/// Every pair of `hashes` within `radius` bits, sorted: the join of a list with itself.
pub fn near_pairs(hashes: &[u64], radius: u32) -> Vec<Pair> {
    let all = Mutex::new(Vec::new());
    for_near_pairs(hashes, radius, |pairs| {
        all.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(pairs);
    });
    let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.iter_mut().for_each(|(a, b, _)| (*a, *b) = (*a.min(b), *a.max(b)));
    all.par_sort_unstable();
    all
}

/// Gives every pair of `hashes` within `radius` bits to `visit`, each once, in no order, a batch at
/// a time, from several threads at once.
///
/// Holds 16 bytes a hash beside the hashes, and no pairs but the batches at work. Which of a pair
/// comes first is not said.
pub fn for_near_pairs(hashes: &[u64], radius: u32, visit: impl Fn(&[Pair]) + Sync) {
    let mut places: Vec<(u64, u32)> =
        hashes.iter().enumerate().map(|(place, hash)| (*hash, place as u32)).collect();
    for join in NearJoin::plan(hashes.len() as u64, radius) {
        join.pairs(&mut places, &visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn brute(hashes: &[u64], radius: u32) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for a in 0..hashes.len() {
            for b in a + 1..hashes.len() {
                let distance = (hashes[a] ^ hashes[b]).count_ones();
                if distance <= radius {
                    pairs.push((a as u32, b as u32, distance));
                }
            }
        }
        pairs
    }

    /// The pairs by the joins that a list of `count` hashes would take.
    fn planned_for(count: u64, hashes: &[u64], radius: u32) -> Vec<Pair> {
        let mut list: Vec<(u64, u32)> = hashes.iter().copied().zip(0..).collect();
        let all = Mutex::new(Vec::new());
        for join in NearJoin::plan(count, radius) {
            join.pairs(&mut list, |pairs| all.lock().unwrap().extend_from_slice(pairs));
        }
        let mut all = all.into_inner().unwrap();
        all.iter_mut().for_each(|(a, b, _)| (*a, *b) = (*a.min(b), *a.max(b)));
        all.sort_unstable();
        all
    }

    proptest! {
        #[test]
        fn equals_brute_force(seeds in prop::collection::vec(any::<u64>(), 0..20),
                              flips in prop::collection::vec((any::<u64>(), any::<u64>()), 0..60),
                              radius in 0u32..66, scale in 0u32..34) {
            let mut hashes = seeds.clone();
            for (mask, noise) in flips {
                let base = seeds.get(noise as usize % seeds.len().max(1)).copied().unwrap_or(noise);
                hashes.push(base ^ (mask & noise & mask.rotate_left(7)));
            }
            let expected = brute(&hashes, radius);
            prop_assert_eq!(near_pairs(&hashes, radius), &expected[..]);
            if radius < 7 {
                prop_assert_eq!(planned_for(1 << scale, &hashes, radius), expected);
            }
        }
    }

    #[test]
    fn blocks_cover_all_bits_once() {
        for radius in 0..70 {
            for count in [0, 1_000, 1_000_000, 100_000_000, 10_000_000_000] {
                let joins = NearJoin::plan(count, radius);
                let sum: u32 = joins[0].blocks.iter().map(|block| block.count_ones()).sum();
                let all = joins[0].blocks.iter().fold(0, |all, block| all | block);
                assert_eq!((sum, all), (64, u64::MAX), "radius {radius}");
            }
        }
        // The paper's scale: fifteen sorts of groups of some fifty hashes.
        assert_eq!(NearJoin::plan(100_000_000, 4).len(), 15);
    }

    #[test]
    fn large_groups_give_the_pairs_of_brute_force() {
        // Skewed, as hashes of photographs are: half of the bits hardly vary.
        let mut state = 9u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 20) & 0x0f0f_ffff_0000_3333 | 0x8000_0000_0000_0000
        };
        let hashes: Vec<u64> = (0..5000).map(|_| next()).collect();
        for radius in [0, 3, 6, 10, 40] {
            assert_eq!(near_pairs(&hashes, radius), brute(&hashes, radius), "radius {radius}");
        }
    }
}
