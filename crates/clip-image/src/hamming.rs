//! Exact search among 64-bit hashes by Hamming distance (multi-index hashing, Norouzi et al. 2012).

use std::collections::HashMap;

/// Finds all hashes within a radius, exactly as brute force would.
///
/// The 64 bits are cut into chunks. Two hashes within the radius agree in at least one chunk up to
/// `radius / chunks` bits (pigeonhole), so only the buckets at that distance are looked at.
pub struct HammingIndex {
    hashes: Vec<u64>,
    radius: u32,
    chunks: Vec<Chunk>,
    /// Bits by which a chunk's key may differ.
    slack: u32,
}

struct Chunk {
    shift: u32,
    bits: u32,
    buckets: HashMap<u32, Vec<u32>>,
}

impl Chunk {
    fn key(&self, hash: u64) -> u32 {
        ((hash >> self.shift) & ((1u64 << self.bits) - 1)) as u32
    }
}

impl HammingIndex {
    /// Indexes `hashes` for queries within `radius` bits.
    pub fn new(hashes: Vec<u64>, radius: u32) -> Self {
        // A bucket should hold about one hash: chunks of log2(n) bits, but few enough to keep one bit of slack.
        let wanted = (hashes.len().max(2) as f64).log2().clamp(8.0, 22.0);
        let count = ((64.0 / wanted).ceil() as u32).clamp(3, 8).min(64);
        let slack = radius / count;
        let mut chunks = Vec::new();
        let mut shift = 0;
        for at in 0..count {
            let bits = (64 - shift) / (count - at);
            chunks.push(Chunk { shift, bits, buckets: HashMap::new() });
            shift += bits;
        }
        for chunk in &mut chunks {
            for (index, &hash) in hashes.iter().enumerate() {
                let key = ((hash >> chunk.shift) & ((1u64 << chunk.bits) - 1)) as u32;
                chunk.buckets.entry(key).or_default().push(index as u32);
            }
        }
        Self { hashes, radius, chunks, slack }
    }

    /// The indexed hashes.
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Index and distance of every hash within the radius, by index.
    pub fn query(&self, hash: u64) -> Vec<(u32, u32)> {
        let mut found: Vec<(u32, u32)> = Vec::new();
        for chunk in &self.chunks {
            flips(chunk.key(hash), chunk.bits, self.slack, &mut |key| {
                for &index in chunk.buckets.get(&key).into_iter().flatten() {
                    let distance = (self.hashes[index as usize] ^ hash).count_ones();
                    if distance <= self.radius {
                        found.push((index, distance));
                    }
                }
            });
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Every pair within the radius: lower index, higher index, distance; sorted.
    pub fn pairs(&self) -> Vec<(u32, u32, u32)> {
        use rayon::prelude::*;
        let mut pairs: Vec<(u32, u32, u32)> = (0..self.hashes.len())
            .into_par_iter()
            .flat_map_iter(|a| {
                let near = self.query(self.hashes[a]).into_iter();
                near.filter(move |(b, _)| *b as usize > a).map(move |(b, d)| (a as u32, b, d))
            })
            .collect();
        pairs.sort_unstable();
        pairs
    }
}

/// Calls `visit` with every key that differs from `key` in at most `slack` of its lowest `bits` bits.
fn flips(key: u32, bits: u32, slack: u32, visit: &mut impl FnMut(u32)) {
    fn from(key: u32, first: u32, bits: u32, slack: u32, visit: &mut impl FnMut(u32)) {
        visit(key);
        if slack > 0 {
            for bit in first..bits {
                from(key ^ (1 << bit), bit + 1, bits, slack - 1, visit);
            }
        }
    }
    from(key, 0, bits, slack, visit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn brute(hashes: &[u64], radius: u32) -> Vec<(u32, u32, u32)> {
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

    proptest! {
        #[test]
        fn equals_brute_force(seeds in prop::collection::vec(any::<u64>(), 0..20),
                              flips in prop::collection::vec((any::<u64>(), any::<u64>()), 0..60),
                              radius in 0u32..17) {
            let mut hashes = seeds.clone();
            for (mask, noise) in flips {
                let base = seeds.get(noise as usize % seeds.len().max(1)).copied().unwrap_or(noise);
                hashes.push(base ^ (mask & noise & mask.rotate_left(7)));
            }
            prop_assert_eq!(HammingIndex::new(hashes.clone(), radius).pairs(), brute(&hashes, radius));
        }
    }

    #[test]
    fn a_query_of_its_own_hash_finds_it() {
        let index = HammingIndex::new(vec![5, 7, u64::MAX], 1);
        assert_eq!(index.query(5), [(0, 0), (1, 1)]);
        assert_eq!(HammingIndex::new(vec![], 4).query(0), []);
    }
}
