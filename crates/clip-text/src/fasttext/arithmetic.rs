//! Arithmetic in C++ fastText's order and precision.

/// The product with a row, summed in order as in C++.
pub(super) fn dot(output: &[f32], row: usize, hidden: &[f32]) -> f32 {
    let row = &output[row * hidden.len()..][..hidden.len()];
    row.iter().zip(hidden).map(|(a, b)| a * b).sum()
}

/// fastText adds 1e-5 before the logarithm, in double precision.
pub(super) fn log(share: f64) -> f32 {
    (share + 1e-5).ln() as f32
}
