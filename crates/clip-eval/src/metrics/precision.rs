//! Average precision, for sets with any number of classes an item.

use std::cmp::Ordering;

/// Whether each judged item is positive, by descending score; items of the same score in their
/// order, and NaN after all numbers.
fn ranked(scores: &[f64], marks: &[i8]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..scores.len()).filter(|&at| marks[at] != 0).collect();
    let known = |at: usize| if scores[at].is_nan() { f64::NEG_INFINITY } else { scores[at] };
    order.sort_by(|&a, &b| known(b).partial_cmp(&known(a)).unwrap_or(Ordering::Equal));
    order.into_iter().map(|at| marks[at] == 1).collect()
}

/// Precision and recall after each positive item.
fn curve(scores: &[f64], marks: &[i8]) -> Vec<(f64, f64)> {
    let ranked = ranked(scores, marks);
    let positives = ranked.iter().filter(|hit| **hit).count() as f64;
    let mut hits = 0.0;
    let mut curve = Vec::new();
    for (at, hit) in ranked.into_iter().enumerate() {
        if hit {
            hits += 1.0;
            curve.push((hits / (at + 1) as f64, hits / positives));
        }
    }
    curve
}

/// The mean of the precision at each positive item (CLIP_benchmark's); 0 without one. Marks are 1,
/// -1, or 0 for items that are not judged.
pub fn average_precision(scores: &[f64], marks: &[i8]) -> f64 {
    let curve = curve(scores, marks);
    curve.iter().map(|point| point.0).sum::<f64>() / curve.len().max(1) as f64
}

/// Pascal VOC 2007's: the mean over the recalls 0, 0.1, …, 1 of the best precision at that recall
/// or a higher one.
pub fn eleven_points(scores: &[f64], marks: &[i8]) -> f64 {
    let curve = curve(scores, marks);
    let best = |recall: f64| {
        let reached = curve.iter().filter(|point| point.1 >= recall - 1e-12);
        reached.map(|point| point.0).fold(0.0, f64::max)
    };
    (0..=10).map(|tenth| best(f64::from(tenth) / 10.0)).sum::<f64>() / 11.0
}

/// The mean over classes of `of` (one of the two above); `scores` and `marks` are item by item.
/// Classes without a positive item are left out; CLIP_benchmark counts them as 0.
pub fn mean_average_precision(
    scores: &[Vec<f64>],
    marks: &[Vec<i8>],
    of: fn(&[f64], &[i8]) -> f64,
) -> (f64, Vec<Option<f64>>) {
    let classes = marks.first().map_or(0, Vec::len);
    let class = |class: usize| {
        let marks: Vec<i8> = marks.iter().map(|row| row[class]).collect();
        let scores: Vec<f64> = scores.iter().map(|row| row[class]).collect();
        marks.contains(&1).then(|| of(&scores, &marks))
    };
    let by_class: Vec<Option<f64>> = (0..classes).map(class).collect();
    let present: Vec<f64> = by_class.iter().flatten().copied().collect();
    (present.iter().sum::<f64>() / present.len().max(1) as f64, by_class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_on_the_worked_scores() {
        let scores =
            [[0.9, 0.2], [0.8, 0.7], [0.7, 0.9], [0.6, 0.1], [0.5, 0.8]].map(|row| row.to_vec());
        let marks = [[1, -1], [-1, 1], [1, 1], [-1, -1], [1, -1]].map(|row| row.to_vec());
        let (_, ap) = mean_average_precision(&scores, &marks, average_precision);
        let (_, eleven) = mean_average_precision(&scores, &marks, eleven_points);
        for (found, wanted) in
            ap.iter().chain(&eleven).zip([0.755556, 0.833333, 0.763636, 0.848485])
        {
            assert!((found.unwrap() - wanted).abs() < 1e-6, "{found:?} is not {wanted}");
        }
    }

    #[test]
    fn items_that_are_not_judged_count_for_nothing() {
        let with = average_precision(&[0.9, 0.8, 0.7], &[0, 1, -1]);
        assert_eq!((with, average_precision(&[0.8, 0.7], &[1, -1])), (1.0, 1.0));
        assert_eq!(average_precision(&[0.8], &[-1]), 0.0);
        assert_eq!(average_precision(&[f64::NAN, 0.1], &[1, -1]), 0.5);
    }
}
