//! Accuracy by how often a corpus names the class.

use std::collections::BTreeMap;

use clip_stats::spearman;
use serde::{Deserialize, Serialize};

/// One class of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassFrequency {
    /// Its name.
    pub class: String,
    /// Pairs of the corpus whose captions name it.
    pub pairs: u64,
    /// Pairs whose kept caption matched the query of that text, where there is one.
    pub query: Option<u64>,
    /// Its items that were predicted.
    pub items: u64,
    /// Those that were right.
    pub correct: u64,
}

/// The classes that are named about as often.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FrequencyBand {
    /// Least number of pairs.
    pub from: u64,
    /// Greatest number of pairs.
    pub to: u64,
    /// Classes.
    pub classes: u64,
    /// Their items.
    pub items: u64,
    /// The mean over these classes of the share of items that are right.
    pub accuracy: f64,
}

/// A set's accuracy by how often the corpus names its classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrequencyReport {
    /// Name of the set.
    pub set: String,
    /// Pairs of the corpus.
    pub pairs: u64,
    /// Classes with items, the most frequent first.
    pub classes: Vec<ClassFrequency>,
    /// Classes that are named 0, 1, 2 to 3, 4 to 7 times, and so on.
    pub bands: Vec<FrequencyBand>,
    /// Spearman's rank correlation of a class's pairs and its accuracy; none where either is one
    /// value.
    pub spearman: Option<f64>,
}

impl FrequencyReport {
    /// Of the classes of a set; those without items are left out.
    pub fn new(set: &str, pairs: u64, mut classes: Vec<ClassFrequency>) -> Self {
        classes.retain(|class| class.items > 0);
        classes.sort_by(|a, b| b.pairs.cmp(&a.pairs).then_with(|| a.class.cmp(&b.class)));
        let accuracy = |class: &ClassFrequency| class.correct as f64 / class.items as f64;
        let counts: Vec<f64> = classes.iter().map(|class| class.pairs as f64).collect();
        let accuracies: Vec<f64> = classes.iter().map(accuracy).collect();
        let mut bands: BTreeMap<u64, FrequencyBand> = BTreeMap::new();
        for class in &classes {
            let from = if class.pairs < 2 { class.pairs } else { 1 << class.pairs.ilog2() };
            let to = if from < 2 { from } else { 2 * from - 1 };
            let empty = FrequencyBand { from, to, classes: 0, items: 0, accuracy: 0.0 };
            let band = bands.entry(from).or_insert(empty);
            band.classes += 1;
            band.items += class.items;
            band.accuracy += (accuracy(class) - band.accuracy) / band.classes as f64;
        }
        Self {
            set: set.to_owned(),
            pairs,
            spearman: spearman(&counts, &accuracies),
            classes,
            bands: bands.into_values().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_banded_by_how_often_they_are_named() {
        let class = |class: &str, pairs, items, correct| ClassFrequency {
            class: class.into(),
            pairs,
            query: None,
            items,
            correct,
        };
        let classes = vec![
            class("rare", 0, 4, 1),
            class("seldom", 3, 2, 1),
            class("often", 2, 4, 3),
            class("most", 9, 10, 10),
            class("absent", 5, 0, 0),
        ];
        let found = FrequencyReport::new("toys", 100, classes);
        assert_eq!(found.classes[0].class, "most");
        let bands: Vec<_> =
            found.bands.iter().map(|band| (band.from, band.to, band.classes, band.items)).collect();
        assert_eq!(bands, [(0, 0, 1, 4), (2, 3, 2, 6), (8, 15, 1, 10)]);
        assert!((found.bands[1].accuracy - 0.625).abs() < 1e-12);
        assert!((found.spearman.unwrap() - 0.8).abs() < 1e-12, "{found:?}");
    }
}
