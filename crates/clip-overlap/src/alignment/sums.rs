//! Sums over pairs of values, and what follows from them.

use crate::pyramid::gram;

/// Sums of pairs.
pub(crate) struct Sums {
    pub n: f32,
    pub a: f32,
    pub b: f32,
    aa: f32,
    bb: f32,
    ab: f32,
}

impl Sums {
    /// Over the points seen: 1 where one is, else 0.
    pub fn over(a: &[f32], b: &[f32], seen: &[f32]) -> Self {
        let seen_of = |v: &[f32]| v.iter().zip(seen).map(|(v, seen)| v * seen).collect();
        let [[aa, ab, a], [_, bb, b], [_, _, n]] = gram(&[seen_of(a), seen_of(b), seen.to_vec()]);
        Self { n, a, b, aa, bb, ab }
    }

    pub fn variances(&self) -> (f32, f32) {
        let n = self.n.max(1.0);
        let square = |sum: f32| (sum / n) * (sum / n);
        ((self.aa / n - square(self.a)).max(0.0), (self.bb / n - square(self.b)).max(0.0))
    }

    /// Pearson's, 0 where one of the two is flat: what has no contrast proves nothing.
    pub fn correlation(&self) -> f32 {
        let (va, vb) = self.variances();
        if va < 1.0 || vb < 1.0 {
            return 0.0;
        }
        (self.ab / self.n - self.a / self.n * (self.b / self.n)) / (va * vb).sqrt()
    }
}
