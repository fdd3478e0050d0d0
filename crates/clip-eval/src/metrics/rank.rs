//! Ranks with a fixed rule for ties.

/// Place of the target among the scores, from 0: the number of classes that come before it.
///
/// A class of the same score comes before it when its index is lower, so that duplicated class
/// names (ImageNet has two) give the same accuracy everywhere. Scores with a NaN among them have no
/// order: the rank is then their number, after every other, whatever the target.
pub fn rank_of(scores: &[f32], target: usize) -> usize {
    if scores.iter().any(|score| score.is_nan()) {
        return scores.len();
    }
    let own = scores[target];
    let before = |(index, &score): (usize, &f32)| score > own || (score == own && index < target);
    scores.iter().enumerate().filter(|&pair| before(pair)).count()
}

/// The class with the highest score: of several, the one with the lowest index.
pub fn best(scores: &[f32]) -> usize {
    let numbers = (0..scores.len()).filter(|&at| !scores[at].is_nan());
    numbers.reduce(|best, at| if scores[at] > scores[best] { at } else { best }).unwrap_or(0)
}

/// exp of each score over their sum.
pub fn softmax(scores: &[f32]) -> Vec<f32> {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = scores.iter().map(|score| (score - most).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// The logarithm of the softmax. It keeps the order of probabilities near 1, which are one number
/// in 32 bits.
pub fn log_softmax(scores: &[f32]) -> Vec<f64> {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let apart = |score: &f32| f64::from(*score) - f64::from(most);
    let sum: f64 = scores.iter().map(|score| apart(score).exp()).sum();
    scores.iter().map(|score| apart(score) - sum.ln()).collect()
}

/// Share of ranks below `k`.
pub fn top_k(ranks: &[usize], k: usize) -> f64 {
    ranks.iter().filter(|&&rank| rank < k).count() as f64 / ranks.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lower_index() {
        assert_eq!(rank_of(&[0.1, 0.5, 0.5], 1), 0);
        assert_eq!(rank_of(&[0.1, 0.5, 0.5], 2), 1);
        assert_eq!(rank_of(&[0.1, 0.5, 0.5], 0), 2);
        for target in 0..3 {
            assert_eq!(rank_of(&[0.2, f32::NAN, 0.0], target), 3);
            assert_eq!(rank_of(&[f32::NAN; 3], target), 3);
        }
        assert_eq!((best(&[0.1, 0.5, 0.5]), best(&[f32::NAN, -1.0]), best(&[f32::NAN])), (1, 1, 0));
    }

    #[test]
    fn logarithms_keep_the_order_of_probabilities_near_one() {
        let (a, b) = ([20.0, 0.0], [21.0, 0.0]);
        assert_eq!(softmax(&a)[0], softmax(&b)[0]);
        assert!(log_softmax(&a)[0] < log_softmax(&b)[0]);
        assert!((log_softmax(&[0.0, 0.0])[1] + 2f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn shares_count_ranks_below_k() {
        assert_eq!(top_k(&[0, 1, 4, 5], 1), 0.25);
        assert_eq!(top_k(&[0, 1, 4, 5], 5), 0.75);
    }
}
