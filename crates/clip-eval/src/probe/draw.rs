//! Draws of rows.

/// A number for a row that depends on seed and row alone.
pub(super) fn draw(seed: u64, row: usize) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(&(row as u64).to_le_bytes());
    *hasher.finalize().as_bytes()
}
