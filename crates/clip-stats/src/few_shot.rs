//! How many labelled examples a class zero-shot transfer is worth (paper, section 3.1.5, figure 7).

/// The examples a class that a probe needs to reach an accuracy.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "shots")]
pub enum Efficiency {
    /// Fewer than the smallest number that was tried.
    Below(f64),
    /// About this many, interpolated.
    About(f64),
    /// More than the largest.
    Above(f64),
}

/// Reads the number of examples off a curve of (examples a class, accuracy), linear in the
/// logarithm of the examples between its points. The curve is taken where it first reaches the
/// accuracy; none without a point.
pub fn data_efficiency(curve: &[(f64, f64)], zero_shot: f64) -> Option<Efficiency> {
    let mut points = curve.to_vec();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (first, last) = (points.first()?, points.last()?);
    if zero_shot < first.1 {
        return Some(Efficiency::Below(first.0));
    }
    for pair in points.windows(2) {
        let ((k0, a0), (k1, a1)) = (pair[0], pair[1]);
        if a0 <= zero_shot && zero_shot <= a1 && a1 > a0 {
            let share = (zero_shot - a0) / (a1 - a0);
            return Some(Efficiency::About(k0 * (k1 / k0).powf(share)));
        }
    }
    if zero_shot == last.1 {
        Some(Efficiency::About(last.0))
    } else {
        Some(Efficiency::Above(last.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_curve() {
        let curve = [(1.0, 0.40), (2.0, 0.50), (4.0, 0.58), (8.0, 0.64), (16.0, 0.70)];
        let Some(Efficiency::About(shots)) = data_efficiency(&curve, 0.61) else { panic!() };
        assert!((shots - 5.656854).abs() < 1e-6, "{shots}");
        assert_eq!(data_efficiency(&curve, 0.39), Some(Efficiency::Below(1.0)));
        assert_eq!(data_efficiency(&curve, 0.71), Some(Efficiency::Above(16.0)));
        assert_eq!(data_efficiency(&curve, 0.40), Some(Efficiency::About(1.0)));
        assert_eq!(data_efficiency(&[], 0.5), None);
    }
}
