//! Rank correlation.

/// Spearman's correlation of two columns, of equal values the mean rank; none where a column has
/// one value only, or they have not the same length.
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.len() != y.len() || x.iter().chain(y).any(|value| value.is_nan()) {
        return None;
    }
    let (x, y) = (ranks(x), ranks(y));
    let middle = f64::midpoint(x.len() as f64, 1.0);
    let sum = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - middle) * (b - middle)).sum()
    };
    let of = sum(&x, &y) / (sum(&x, &x) * sum(&y, &y)).sqrt();
    of.is_finite().then_some(of)
}

/// Ranks from 1.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = first as f64 + f64::midpoint(equal.len() as f64, 1.0);
        equal.iter().for_each(|&at| ranks[at] = rank);
        first += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlations_are_scipys() {
        let golden = include_str!("../golden/contamination.json");
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        let rows = golden["spearman"].as_array().unwrap();
        assert_eq!(rows.len(), 3);
        for row in rows {
            let column = |key: &str| -> Vec<f64> {
                row[key].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
            };
            let found = spearman(&column("x"), &column("y")).unwrap();
            assert!((found - row["r"].as_f64().unwrap()).abs() < 1e-12, "{row}");
        }
    }

    #[test]
    fn one_value_has_no_correlation() {
        assert_eq!(spearman(&[1.0, 1.0], &[2.0, 3.0]), None);
        assert_eq!(spearman(&[], &[]), None);
        assert_eq!(spearman(&[1.0], &[2.0, 3.0]), None);
    }
}
