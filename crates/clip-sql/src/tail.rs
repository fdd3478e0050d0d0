//! The tail of the queries: those with fewer pairs than a limit.

/// For limits 1, 2, 5, 10, … up to the largest count: the share of all matches that queries with
/// fewer matches than the limit have (MetaCLIP, section 3.2: its limit is where the tail has 6 %).
pub fn curve(counts: &[u64]) -> Vec<(u64, f64)> {
    let total: u64 = counts.iter().sum();
    let largest = counts.iter().copied().max().unwrap_or(0);
    let mut points = Vec::new();
    for scale in (0..19).map(|power| 10_u64.pow(power)) {
        for limit in [scale, 2 * scale, 5 * scale] {
            let tail: u64 = counts.iter().filter(|&&count| count < limit).sum();
            points.push((limit, if total == 0 { 0.0 } else { tail as f64 / total as f64 }));
            if limit > largest {
                return points;
            }
        }
    }
    points
}

/// The share of all matches that queries with fewer matches than the limit have (metaclip's
/// `t_to_p`); none where nothing matches.
pub(crate) fn share_below(counts: &[u64], limit: u64) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    let tail: u64 = counts.iter().filter(|&&count| count < limit).sum();
    (total > 0).then(|| tail as f64 / total as f64)
}

/// The limit at which queries up to it have about this share of all matches: how MetaCLIP carries a
/// limit over to a pool of another size (section 3.2), and MetaCLIP 2 to another language (both by
/// `p_to_t`).
pub(crate) fn limit_of(counts: &[u64], share: f64) -> Option<u64> {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    let total = sorted.iter().sum::<u64>() as f64;
    let mut mass = 0;
    let distance = sorted.iter().map(|&count| {
        mass += count;
        ((mass as f64 / total - share).abs(), count)
    });
    distance.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, count)| count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_ends_where_all_queries_are_tail() {
        assert_eq!(curve(&[1, 1, 8]), [(1, 0.0), (2, 0.2), (5, 0.2), (10, 1.0)]);
        assert_eq!(curve(&[]), [(1, 0.0)]);
    }

    #[test]
    fn a_share_of_the_tail_names_its_limit() {
        let counts = [1, 2, 3, 94, 300];
        assert_eq!(limit_of(&counts, 6.0 / 400.0), Some(3));
        assert_eq!(limit_of(&counts, 0.25), Some(94));
        assert_eq!(limit_of(&[], 0.06), None);
        assert_eq!(share_below(&counts, 94), Some(6.0 / 400.0));
        assert_eq!(share_below(&counts, 301), Some(1.0));
        assert_eq!(share_below(&[], 5), None);
    }
}
