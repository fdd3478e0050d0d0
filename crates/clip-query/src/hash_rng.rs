//! Draws without a generator, and the probabilities of MetaCLIP's balance.

/// A number in [0, 1) that depends on its arguments alone: the same on any machine and in any
/// order.
pub fn draw(seed: u64, uid: &str, query: u32) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(uid.as_bytes()).update(&query.to_le_bytes());
    let bytes = hasher.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&bytes.as_bytes()[..8]);
    clip_random::unit(u64::from_le_bytes(first))
}

/// Probability that a pair stays when each of its queries, of these counts, draws it with `limit /
/// count`.
pub fn keep_probability(counts: impl IntoIterator<Item = u64>, limit: u64) -> f64 {
    let miss = |count: u64| 1.0 - (limit as f64 / count.max(limit) as f64);
    1.0 - counts.into_iter().map(miss).product::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_even_and_repeatable() {
        let draws: Vec<f64> = (0..10_000).map(|i| draw(1, &i.to_string(), 3)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert_eq!(draw(1, "7", 3), draws[7]);
        assert_ne!(draw(2, "7", 3), draws[7]);
    }

    #[test]
    fn tail_queries_keep_all_and_head_queries_their_share() {
        assert_eq!(keep_probability([5], 10), 1.0);
        assert_eq!(keep_probability([20], 10), 0.5);
        assert_eq!(keep_probability([20, 20], 10), 0.75);
        assert_eq!(keep_probability([], 10), 0.0);
    }
}
