//! The discrete cosine transform of a 32 x 32 picture, lowest frequencies only.

use std::f64::consts::PI;
use std::sync::LazyLock;

const N: usize = 32;

/// `cos(pi (2n + 1) k / 64)` for the 8 lowest k.
static COSINES: LazyLock<[[f64; N]; 8]> = LazyLock::new(|| {
    let cosine = |k: usize, n: usize| (PI * (2 * n + 1) as f64 * k as f64 / (2 * N) as f64).cos();
    std::array::from_fn(|k| std::array::from_fn(|n| cosine(k, n)))
});

/// The 8 x 8 lowest coefficients of SciPy's unnormalised type-II DCT over both axes, row by row.
pub(super) fn low_frequencies(pixels: &[u8]) -> [f64; 64] {
    // Columns first (axis 0), as imagededup does.
    let mut columns = [[0f64; N]; 8];
    for (k, row) in columns.iter_mut().enumerate() {
        for (n, line) in pixels.chunks_exact(N).enumerate() {
            for (sum, &pixel) in row.iter_mut().zip(line) {
                *sum += 2.0 * COSINES[k][n] * f64::from(pixel);
            }
        }
    }
    let coefficient = |index: usize| {
        let (row, k) = (&columns[index / 8], index % 8);
        2.0 * row.iter().zip(&COSINES[k]).map(|(value, cosine)| value * cosine).sum::<f64>()
    };
    std::array::from_fn(coefficient)
}
