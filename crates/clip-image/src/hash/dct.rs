//! The discrete cosine transform of a 32 x 32 image, lowest frequencies only.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined there is compiled for any processor"
)]

use std::f64::consts::PI;
use std::sync::LazyLock;

use pulp::{Arch, NullaryFnOnce};

const N: usize = 32;

/// `cos(pi (2n + 1) k / 64)` for the 8 lowest k.
static COSINES: LazyLock<[[f64; N]; 8]> = LazyLock::new(|| {
    let cosine = |k: usize, n: usize| (PI * (2 * n + 1) as f64 * k as f64 / (2 * N) as f64).cos();
    std::array::from_fn(|k| std::array::from_fn(|n| cosine(k, n)))
});

/// The 8 x 8 lowest coefficients of SciPy's unnormalised type-II DCT over both axes, row by row.
pub(super) fn low_frequencies(pixels: &[u8]) -> [f64; 64] {
    // Columns first (axis 0), as imagededup does.
    let columns = Arch::new().dispatch(Columns { pixels, cosines: &COSINES });
    let coefficient = |index: usize| {
        let (row, k) = (&columns[index / 8], index % 8);
        2.0 * row.iter().zip(&COSINES[k]).map(|(value, cosine)| value * cosine).sum::<f64>()
    };
    std::array::from_fn(coefficient)
}

/// The transform of each column. Its terms are added in their order whatever the width of vectors:
/// the result is the same to the last bit.
struct Columns<'a> {
    pixels: &'a [u8],
    cosines: &'a [[f64; N]; 8],
}

impl NullaryFnOnce for Columns<'_> {
    type Output = [[f64; N]; 8];

    #[inline(always)]
    fn call(self) -> [[f64; N]; 8] {
        let mut columns = [[0f64; N]; 8];
        for (n, line) in self.pixels.as_chunks::<N>().0.iter().enumerate() {
            let mut values = [0f64; N];
            for (value, &pixel) in values.iter_mut().zip(line) {
                *value = f64::from(pixel);
            }
            for (sums, cosines) in columns.iter_mut().zip(self.cosines) {
                for (sum, value) in sums.iter_mut().zip(&values) {
                    *sum += 2.0 * cosines[n] * value;
                }
            }
        }
        columns
    }
}
