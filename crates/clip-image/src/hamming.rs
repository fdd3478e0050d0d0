//! Exact search among 64-bit hashes by Hamming distance (multi-index hashing, Norouzi et al. 2012).
//!
//! The 64 bits are cut into chunks, and each chunk has a slack such that slacks and chunks together
//! exceed the radius: two hashes within the radius then differ in at most `slack` bits of at least
//! one chunk (pigeonhole), so that only the buckets at that distance are looked at. Found so in
//! several chunks, a hash counts in the first.

use crate::near_join::{Pair, near_pairs};

/// Cost of going to a bucket, in comparisons of hashes.
const VISIT: f64 = 8.0;

/// A range of bits, and by how many of them a key may differ.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chunk {
    shift: u32,
    bits: u32,
    slack: u32,
}

impl Chunk {
    fn key(&self, hash: u64) -> u32 {
        ((hash >> self.shift) & ((1u64 << self.bits) - 1)) as u32
    }

    /// Whether this chunk would find the pair.
    fn finds(&self, difference: u64) -> bool {
        self.key(difference).count_ones() <= self.slack
    }

    /// Every difference of keys within the slack, nothing first.
    fn masks(&self) -> Vec<u32> {
        let mut masks = vec![0u32];
        let mut last = masks.clone();
        for _ in 0..self.slack {
            // One more bit, above the highest, so that each set of bits comes once.
            let above = |mask: &u32| 32 - mask.leading_zeros()..self.bits;
            let more = |mask: &u32| above(mask).map(|bit| 1 << bit).collect::<Vec<u32>>();
            last = last
                .iter()
                .flat_map(|mask| more(mask).into_iter().map(move |bit| mask | bit))
                .collect();
            masks.extend_from_slice(&last);
        }
        masks
    }
}

/// The chunks that search `count` hashes for least work.
fn plan(count: usize, radius: u32) -> Vec<Chunk> {
    let cut = |parts: u32| -> Vec<Chunk> {
        let mut shift = 0;
        let mut chunks = Vec::new();
        for at in 0..parts {
            let bits = (64 - shift) / (parts - at);
            // Slacks plus one add up to radius plus one; a part with nothing to find needs no
            // index.
            let share = (radius + 1) / parts + u32::from(at < (radius + 1) % parts);
            if share > 0 {
                chunks.push(Chunk { shift, bits, slack: (share - 1).min(bits) });
            }
            shift += bits;
        }
        chunks
    };
    let cost = |chunks: &Vec<Chunk>| -> f64 {
        let probes = |chunk: &Chunk| {
            let mut ways = 1.0;
            let mut sum = 1.0;
            for chosen in 0..chunk.slack {
                ways *= f64::from(chunk.bits - chosen) / f64::from(chosen + 1);
                sum += ways;
            }
            sum * (VISIT + count as f64 / (1u64 << chunk.bits) as f64)
        };
        // A bucket of its own for every key: as many as there are hashes, not many times more.
        let table = |chunk: &Chunk| (1u64 << chunk.bits) as f64 / count.max(1) as f64;
        chunks.iter().map(|chunk| probes(chunk) + table(chunk)).sum()
    };
    let plans = (3..=32).map(cut);
    plans.min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap_or_default()
}

/// Hashes sorted by their key in one chunk.
struct Buckets {
    chunk: Chunk,
    /// Where each key's hashes begin; one more than there are keys.
    starts: Vec<u32>,
    hashes: Vec<u64>,
    places: Vec<u32>,
}

impl Buckets {
    fn new(chunk: Chunk, hashes: &[u64]) -> Self {
        let mut starts = vec![0u32; (1 << chunk.bits) + 1];
        for &hash in hashes {
            starts[chunk.key(hash) as usize + 1] += 1;
        }
        for key in 1..starts.len() {
            starts[key] += starts[key - 1];
        }
        let mut next = starts.clone();
        let (mut sorted, mut places) = (vec![0; hashes.len()], vec![0; hashes.len()]);
        for (place, &hash) in hashes.iter().enumerate() {
            let slot = &mut next[chunk.key(hash) as usize];
            sorted[*slot as usize] = hash;
            places[*slot as usize] = place as u32;
            *slot += 1;
        }
        Self { chunk, starts, hashes: sorted, places }
    }

    fn range(&self, key: u32) -> std::ops::Range<usize> {
        self.starts[key as usize] as usize..self.starts[key as usize + 1] as usize
    }
}

/// Finds all hashes within a radius, exactly as brute force would.
pub struct HammingIndex {
    hashes: Vec<u64>,
    radius: u32,
    chunks: Vec<(Buckets, Vec<u32>)>,
}

impl HammingIndex {
    /// Indexes `hashes` for queries within `radius` bits.
    pub fn new(hashes: Vec<u64>, radius: u32) -> Self {
        let chunks = plan(hashes.len(), radius);
        let index = |chunk: Chunk| {
            let masks = chunk.masks();
            (Buckets::new(chunk, &hashes), masks)
        };
        let chunks = chunks.into_iter().map(index).collect();
        Self { hashes, radius, chunks }
    }

    /// The indexed hashes.
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Index and distance of every hash within the radius, by index.
    pub fn query(&self, hash: u64) -> Vec<(u32, u32)> {
        let mut found: Vec<(u32, u32)> = Vec::new();
        for (at, (buckets, masks)) in self.chunks.iter().enumerate() {
            let key = buckets.chunk.key(hash);
            for mask in masks {
                for slot in buckets.range(key ^ mask) {
                    let difference = buckets.hashes[slot] ^ hash;
                    let distance = difference.count_ones();
                    let earlier =
                        || self.chunks[..at].iter().any(|(b, _)| b.chunk.finds(difference));
                    if distance <= self.radius && !earlier() {
                        found.push((buckets.places[slot], distance));
                    }
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// Every pair within the radius, sorted.
    pub fn pairs(&self) -> Vec<Pair> {
        near_pairs(&self.hashes, self.radius)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn queries_give_the_pairs_of_the_join(seeds in prop::collection::vec(any::<u64>(), 0..20),
                              flips in prop::collection::vec((any::<u64>(), any::<u64>()), 0..60),
                              radius in 0u32..40) {
            let mut hashes = seeds.clone();
            for (mask, noise) in flips {
                let base = seeds.get(noise as usize % seeds.len().max(1)).copied().unwrap_or(noise);
                hashes.push(base ^ (mask & noise & mask.rotate_left(7)));
            }
            let expected = near_pairs(&hashes, radius);
            let index = HammingIndex::new(hashes.clone(), radius);
            for (a, hash) in hashes.iter().enumerate() {
                let near = index.query(*hash).into_iter().filter(|(b, _)| *b as usize > a);
                let near: Vec<Pair> = near.map(|(b, distance)| (a as u32, b, distance)).collect();
                let mine: Vec<Pair> =
                    expected.iter().copied().filter(|pair| pair.0 as usize == a).collect();
                prop_assert_eq!(near, mine);
            }
        }

        #[test]
        fn every_plan_covers_the_radius(count in 0usize..100_000_000, radius in 0u32..64) {
            let chunks = plan(count, radius);
            let covered: u32 = chunks.iter().map(|chunk| chunk.slack + 1).sum();
            // Less only where a chunk is searched whole.
            prop_assert!(covered > radius || chunks.iter().any(|chunk| chunk.slack == chunk.bits));
            for chunk in chunks {
                prop_assert!(chunk.bits <= 22 && chunk.shift + chunk.bits <= 64);
                let ways = |n: u64, k: u64| (0..k).fold(1u64, |c, i| c * (n - i) / (i + 1));
                if chunk.slack <= 3 {
                    let expected: u64 =
                        (0..=chunk.slack).map(|k| ways(chunk.bits.into(), k.into())).sum();
                    prop_assert_eq!(chunk.masks().len() as u64, expected);
                }
            }
        }
    }

    #[test]
    fn a_query_of_its_own_hash_finds_it() {
        let index = HammingIndex::new(vec![5, 7, u64::MAX], 1);
        assert_eq!(index.query(5), [(0, 0), (1, 1)]);
        assert_eq!(HammingIndex::new(vec![], 4).query(0), []);
    }
}
