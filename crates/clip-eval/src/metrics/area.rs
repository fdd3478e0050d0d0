//! Area under the receiver operating characteristic.

/// The chance that a positive item scores above a negative one, ties counted half; none where all
/// items are alike or a score is NaN.
pub fn roc_auc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    if scores.iter().any(|score| score.is_nan()) {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let positives = positive.iter().filter(|p| **p).count() as f64;
    let negatives = positive.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let mut area = 0.0;
    let mut below = 0.0;
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let hits = tied.iter().filter(|&&at| positive[at]).count() as f64;
        let misses = tied.len() as f64 - hits;
        area += hits * (below + misses / 2.0);
        below += misses;
    }
    Some(area / (positives * negatives))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_scikit_learn_has_it() {
        let found = roc_auc(&[0.1, 0.4, 0.4, 0.8], &[false, false, true, true]).unwrap();
        assert!((found - 0.875).abs() < 1e-12);
        let found = roc_auc(&[0.9, 0.8, 0.7, 0.6, 0.5], &[true, false, true, false, true]).unwrap();
        assert!((found - 0.5).abs() < 1e-12);
        assert_eq!(roc_auc(&[0.1, 0.2], &[true, true]), None);
        assert_eq!(roc_auc(&[0.1, f64::NAN], &[true, false]), None);
    }
}
