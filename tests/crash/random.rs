//! Draws that the seed repeats.

use std::time::Duration;

use clip_random::{SplitMix64, unit};

/// The draws of a scenario.
pub struct Random(SplitMix64);

impl Random {
    /// Draws of a seed and a name: a scenario has the same ones whatever runs before it.
    pub fn new(seed: u64, name: &str) -> Self {
        let hash = blake3::hash(format!("{seed} {name}").as_bytes());
        Self(SplitMix64::new(u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap())))
    }

    pub fn next(&mut self) -> u64 {
        self.0.bits()
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// A share, from 0 to 1.
    pub fn share(&mut self) -> f64 {
        unit(self.next())
    }

    /// A moment within a time.
    pub fn moment(&mut self, within: Duration) -> Duration {
        within.mul_f64(self.share())
    }

    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
