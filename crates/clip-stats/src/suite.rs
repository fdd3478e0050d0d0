//! A suite of evaluation sets at once, and accuracy with the classes' mix held equal.

use crate::Contamination;

/// Correct and counted rows of one class, on Clean and on Overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassCounts {
    /// Rows on Clean.
    pub clean: u64,
    /// Correct ones.
    pub correct_clean: u64,
    /// Rows on Overlap.
    pub overlap: u64,
    /// Correct ones.
    pub correct_overlap: u64,
}

/// Clean's accuracy with Overlap's mix of classes: what is left between the two is no shift of
/// classes.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Stratified {
    /// Accuracy on Clean, each class weighted by its rows on Overlap.
    pub clean: f64,
    /// Accuracy on Overlap, over the classes that have clean rows.
    pub overlap: f64,
    /// Share of Overlap's rows whose class has clean rows.
    pub covered: f64,
}

/// Reweights; nothing where no class has both clean rows and overlapping ones.
pub fn stratified(classes: &[ClassCounts]) -> Option<Stratified> {
    let all: u64 = classes.iter().map(|class| class.overlap).sum();
    let both = || classes.iter().filter(|class| class.clean > 0 && class.overlap > 0);
    let weight: u64 = both().map(|class| class.overlap).sum();
    if weight == 0 {
        return None;
    }
    let share = |class: &ClassCounts| class.correct_clean as f64 / class.clean as f64;
    let clean =
        both().map(|class| class.overlap as f64 * share(class)).sum::<f64>() / weight as f64;
    let right: u64 = both().map(|class| class.correct_overlap).sum();
    let (overlap, covered) = (right as f64 / weight as f64, weight as f64 / all as f64);
    Some(Stratified { clean, overlap, covered })
}

/// The figures that the paper gives of its 35 sets (section 5).
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Suite {
    /// Evaluation sets.
    pub sets: usize,
    /// Sets of which the corpus holds nothing.
    pub without_overlap: usize,
    /// Median rate.
    pub median_rate: f64,
    /// Mean rate.
    pub mean_rate: f64,
    /// Highest rate.
    pub max_rate: f64,
    /// Sets with predictions.
    pub judged: usize,
    /// Sets whose |All - Clean| is more than 0.1 points.
    pub beyond_tenth: usize,
    /// Greatest All - Clean.
    pub max_inflation: Option<f64>,
    /// Sets that are significant after correction.
    pub significant: usize,
    /// Sets whose interval of Overlap excludes Clean.
    pub intervals_apart: usize,
}

/// Summarises rates and effects; nothing of nothing.
pub fn suite(rates: &[f64], effects: &[&Contamination]) -> Option<Suite> {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (&max_rate, middle) = (sorted.last()?, sorted.len() / 2);
    let median = if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    };
    let inflations = || effects.iter().filter_map(|effect| effect.inflation);
    Some(Suite {
        sets: rates.len(),
        without_overlap: rates.iter().filter(|&&rate| rate == 0.0).count(),
        median_rate: median,
        mean_rate: rates.iter().sum::<f64>() / rates.len() as f64,
        max_rate,
        judged: effects.len(),
        beyond_tenth: inflations().filter(|d| d.abs() > 0.001).count(),
        max_inflation: inflations().max_by(f64::total_cmp),
        significant: effects.iter().filter(|effect| effect.significant()).count(),
        intervals_apart: effects.iter().filter(|effect| effect.interval_excludes_clean()).count(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contamination;

    #[test]
    fn a_shift_of_classes_alone_is_no_effect() {
        // Both classes do equally well on Clean and Overlap, but the easy one makes up most of
        // Overlap.
        let easy = ClassCounts { clean: 100, correct_clean: 90, overlap: 30, correct_overlap: 27 };
        let hard = ClassCounts { clean: 100, correct_clean: 20, overlap: 10, correct_overlap: 2 };
        let found = stratified(&[easy, hard]).unwrap();
        assert!((found.clean - 0.725).abs() < 1e-12 && (found.overlap - 0.725).abs() < 1e-12);
        let lone = ClassCounts { overlap: 10, correct_overlap: 10, ..ClassCounts::default() };
        let found = stratified(&[easy, hard, lone]).unwrap();
        assert!((found.covered - 0.8).abs() < 1e-12 && (found.overlap - 0.725).abs() < 1e-12);
        assert_eq!(stratified(&[lone]), None);
    }

    #[test]
    fn a_suite_has_the_papers_figures() {
        let large = contamination(1000, 100, 600, 90, 3).unwrap();
        let small = contamination(1000, 10, 500, 5, 3).unwrap();
        let found = suite(&[0.1, 0.01, 0.0], &[&large, &small]).unwrap();
        assert_eq!((found.sets, found.without_overlap, found.judged), (3, 1, 2));
        assert!((found.median_rate - 0.01).abs() < 1e-12);
        assert!((found.mean_rate - 0.11 / 3.0).abs() < 1e-12);
        assert_eq!((found.beyond_tenth, found.significant, found.intervals_apart), (1, 1, 1));
        assert_eq!(found.max_inflation, large.inflation);
        assert_eq!(suite(&[], &[]), None);
    }
}
