//! Random numbers that depend on what they are for alone, never on who asked before.

/// A stream of numbers for one purpose, seed, epoch and index: the same on any machine, thread and
/// after any resume.
pub(crate) struct Draw(blake3::OutputReader);

impl Draw {
    pub fn new(purpose: &str, seed: u64, epoch: u64, index: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(purpose.as_bytes()).update(&[0]);
        hasher.update(&seed.to_le_bytes()).update(&epoch.to_le_bytes());
        hasher.update(&index.to_le_bytes());
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
        scale(self.bits(), n)
    }

    /// A number in `[from, to)`.
    pub fn between(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * ((self.bits() >> 40) as f32 / (1u64 << 24) as f32)
    }
}

/// Random bits to a number below `n`.
pub(crate) fn scale(bits: u64, n: usize) -> usize {
    ((u128::from(bits) * n as u128) >> 64) as usize
}

/// 64 bits for three numbers, cheaper than a [`Draw`]: for what is asked once a pair.
pub(crate) use clip_torch::mix;

#[cfg(test)]
mod tests {
    use super::*;

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
