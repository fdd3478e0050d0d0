//! Random numbers that depend on a seed and on what they are for alone: the same on any machine and
//! thread, and after any resume.
//!
//! ```
//! use clip_random::{Draw, mix, unit};
//!
//! // For what is asked once: a number of its own for each seed, epoch and sample.
//! assert!((0.0..1.0).contains(&unit(mix(7, 0, 42))));
//! // For what is asked again and again: a stream.
//! let mut draw = Draw::new("crop", 7, 0, 42);
//! assert_eq!(draw.below(10), Draw::new("crop", 7, 0, 42).below(10));
//! ```

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number of splitmix64 behind the state `bits` (Steele et al. 2014).
pub fn splitmix64(bits: u64) -> u64 {
    let bits = bits.wrapping_add(STEP);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// 64 bits for three numbers.
pub fn mix(seed: u64, first: u64, second: u64) -> u64 {
    [first, second].into_iter().fold(seed, |bits, part| splitmix64(bits.wrapping_add(part)))
}

/// Random bits to a number below `n`, 0 when `n` is 0: the high half of their product, which has no
/// visible bias.
pub fn below(bits: u64, n: usize) -> usize {
    ((u128::from(bits) * n as u128) >> 64) as usize
}

/// Random bits to a number in `[0, 1)`, with all 53 bits that it holds.
pub fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// The same with the 24 bits of an `f32`.
pub fn unit_f32(bits: u64) -> f32 {
    (bits >> 40) as f32 / (1u64 << 24) as f32
}

/// Fisher and Yates; `below` draws a number below one.
fn shuffle<T>(items: &mut [T], mut below: impl FnMut(usize) -> usize) {
    for at in (1..items.len()).rev() {
        items.swap(at, below(at + 1));
    }
}

/// The generator splitmix64.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let bits = splitmix64(self.0);
        self.0 = self.0.wrapping_add(STEP);
        bits
    }

    /// A number below `n`, 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        below(self.bits(), n)
    }

    /// Puts items in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        shuffle(items, |n| self.below(n));
    }
}

/// A stream of numbers for one purpose.
pub struct Draw(blake3::OutputReader);

impl Draw {
    /// Numbers for a purpose, seed, epoch and index.
    pub fn new(purpose: &str, seed: u64, epoch: u64, index: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(purpose.as_bytes()).update(&[0]);
        Self::keyed(hasher, [seed, epoch, index])
    }

    /// Numbers for three numbers.
    pub fn of(numbers: [u64; 3]) -> Self {
        Self::keyed(blake3::Hasher::new(), numbers)
    }

    fn keyed(mut hasher: blake3::Hasher, numbers: [u64; 3]) -> Self {
        for number in numbers {
            hasher.update(&number.to_le_bytes());
        }
        Self(hasher.finalize_xof())
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number below `n`, 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        below(self.bits(), n)
    }

    /// Puts items in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        shuffle(items, |n| self.below(n));
    }

    /// A number in `[from, to)`.
    pub fn between(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * unit_f32(self.bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of its authors' C program, begun with 1234567.
    #[test]
    fn splitmix64_gives_its_authors_numbers() {
        let mut numbers = SplitMix64::new(1_234_567);
        let wanted =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([(); 3].map(|()| numbers.bits()), wanted);
        assert_eq!(splitmix64(0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn mixed_bits_are_spread() {
        let high = (0..4000u64).filter(|&i| mix(7, 3, i) >> 63 == 1).count();
        assert!((1850..2150).contains(&high), "{high}");
        assert_ne!(mix(7, 3, 1), mix(7, 1, 3));
        assert!(unit(u64::MAX) < 1.0 && unit_f32(u64::MAX) < 1.0);
        assert_eq!((below(u64::MAX, 7), below(u64::MAX, 0)), (6, 0));
    }

    #[test]
    fn a_shuffle_keeps_all_items_and_repeats() {
        let shuffled = |seed| {
            let mut items: Vec<u32> = (0..100).collect();
            SplitMix64::new(seed).shuffle(&mut items);
            items
        };
        assert_eq!(shuffled(3), shuffled(3));
        assert_ne!(shuffled(3), shuffled(4));
        let mut items = shuffled(3);
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn streams_repeat_and_differ_by_index() {
        let stream = |index| {
            let mut draw = Draw::new("order", 1, 2, index);
            (0..4).map(|_| draw.bits()).collect::<Vec<_>>()
        };
        assert_eq!(stream(1), stream(1));
        assert_ne!(stream(1), stream(2));
        let mut draw = Draw::new("x", 0, 0, 0);
        let mean = (0..4000).map(|_| draw.between(2.0, 4.0)).sum::<f32>() / 4000.0;
        assert!((mean - 3.0).abs() < 0.05);
        assert!((0..500).all(|_| draw.below(7) < 7));
    }
}
