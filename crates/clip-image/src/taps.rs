//! Where the pixels of one axis come from, and with which weights.
#![expect(
    clippy::inline_always,
    reason = "so that callers choose for which processor it is compiled"
)]

/// Of each pixel the first source pixel and as many weights as every other has: loops of one length
/// are quick.
pub(crate) struct Taps {
    each: usize,
    first: Vec<usize>,
    weights: Vec<f32>,
}

impl Taps {
    /// From places and the weights from there on; a place may be beyond the edge, where all pixels
    /// are the edge's.
    pub fn new(source: u32, places: &[(i64, Vec<f32>)]) -> Self {
        let each = places.iter().map(|(_, shares)| shares.len()).max().unwrap_or(1);
        let each = each.clamp(1, source as usize);
        let last = i64::from(source) - 1;
        let mut weights = vec![0.0; each * places.len()];
        let mut first = Vec::with_capacity(places.len());
        for ((place, shares), weights) in places.iter().zip(weights.chunks_exact_mut(each)) {
            let start = (*place).clamp(0, last + 1 - each as i64);
            for (at, share) in (*place..).zip(shares) {
                weights[(at.clamp(0, last) - start) as usize] += share;
            }
            first.push(start as usize);
        }
        Self { each, first, weights }
    }

    /// How many pixels there are.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// First source pixel and weights of each pixel.
    pub fn each(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.first.iter().copied().zip(self.weights.chunks_exact(self.each))
    }

    /// The pixels of a line of three channels. Four numbers are read and written at a time, the
    /// fourth for nothing: both lines end with one number more than their pixels need.
    #[inline(always)]
    pub fn across(&self, line: &[f32], out: &mut [f32]) {
        match self.each {
            2 => self.across_of::<2>(line, out),
            3 => self.across_of::<3>(line, out),
            4 => self.across_of::<4>(line, out),
            _ => {
                for (at, (first, weights)) in self.each().enumerate() {
                    put(out, at, weighted(&line[first * 3..][..=weights.len() * 3], weights));
                }
            }
        }
    }

    /// The same for this many weights, which are then no loop.
    #[inline(always)]
    fn across_of<const N: usize>(&self, line: &[f32], out: &mut [f32]) {
        for (at, (first, weights)) in self.each().enumerate() {
            put(out, at, weighted(&line[first * 3..][..=N * 3], &weights[..N]));
        }
    }
}

/// The weighted sum of pixels, and of what comes after each.
#[inline(always)]
fn weighted(lanes: &[f32], weights: &[f32]) -> [f32; 4] {
    let mut sum = [0f32; 4];
    for (tap, &weight) in weights.iter().enumerate() {
        for (sum, &lane) in sum.iter_mut().zip(&lanes[tap * 3..][..4]) {
            *sum += weight * lane;
        }
    }
    sum
}

#[inline(always)]
fn put(out: &mut [f32], at: usize, pixel: [f32; 4]) {
    if let Some(lanes) = out[at * 3..].first_chunk_mut::<4>() {
        *lanes = pixel;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_beyond_the_edge_are_the_edges() {
        let taps = Taps::new(3, &[(-2, vec![0.25; 4]), (2, vec![0.5, 0.5]), (1, vec![1.0])]);
        let found: Vec<_> = taps.each().map(|(first, weights)| (first, weights.to_vec())).collect();
        let expected =
            [(0, vec![0.75, 0.25, 0.0]), (0, vec![0.0, 0.0, 1.0]), (0, vec![0.0, 1.0, 0.0])];
        assert_eq!(found, expected);
        let line: Vec<f32> = (1..=10).map(|v| v as f32).collect();
        let mut out = vec![0.0; 10];
        taps.across(&line, &mut out);
        assert_eq!(out[..9], [1.75, 2.75, 3.75, 7.0, 8.0, 9.0, 4.0, 5.0, 6.0]);
    }
}
