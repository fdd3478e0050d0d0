//! Random numbers that depend on what they are for alone, never on who asked before.

/// A stream of numbers for one (seed, epoch, key): the same on any machine, thread and after any resume.
pub(crate) struct Draw(blake3::OutputReader);

impl Draw {
    pub fn new(purpose: &str, seed: u64, epoch: u64, key: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(purpose.as_bytes()).update(&[0]);
        hasher.update(&seed.to_le_bytes()).update(&epoch.to_le_bytes()).update(key.as_bytes());
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
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// A number in `[from, to)`.
    pub fn between(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * ((self.bits() >> 40) as f32 / (1u64 << 24) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_key() {
        let stream = |key| {
            let mut draw = Draw::new("order", 1, 2, key);
            (0..4).map(|_| draw.bits()).collect::<Vec<_>>()
        };
        assert_eq!(stream("a"), stream("a"));
        assert_ne!(stream("a"), stream("b"));
        let mut draw = Draw::new("x", 0, 0, "");
        let mean = (0..4000).map(|_| draw.between(2.0, 4.0)).sum::<f32>() / 4000.0;
        assert!((mean - 3.0).abs() < 0.05);
        assert!((0..500).all(|_| draw.below(7) < 7));
    }
}
