//! Accuracy by how often the corpus names the class.

use clip_overlap::{ClassFrequency, FrequencyReport};

use crate::chart::{Axis, Line, Scale, line_chart};
use crate::markup::grouped;
use crate::{Cell, Section, Table};

/// Classes that are listed at each end.
const LISTED: usize = 15;

/// Bands of frequency, their chart, and the classes at both ends.
#[must_use]
pub fn frequency(found: &FrequencyReport) -> Section {
    let title = format!("{}: accuracy by frequency", found.set);
    let about = "A class counts by the pairs of the corpus whose captions name it. An accuracy is the mean over the \
                 classes of a band.";
    let correlation =
        found.spearman.map_or("none".to_owned(), |correlation| format!("{correlation:.2}"));
    let facts = format!(
        "{} classes, {} pairs; Spearman's rank correlation of pairs and accuracy: {correlation}.",
        grouped(found.classes.len() as u64),
        grouped(found.pairs)
    );
    let mut bands = Table::new(["pairs that name the class", "classes", "items", "accuracy"]);
    bands.extend(found.bands.iter().map(|band| {
        let range = if band.from == band.to {
            grouped(band.to)
        } else {
            format!("{} to {}", grouped(band.from), grouped(band.to))
        };
        [range.into(), band.classes.into(), band.items.into(), Cell::Share(band.accuracy)]
    }));
    let points = found.bands.iter().map(|band| (band.from as f64, band.accuracy)).collect();
    let line = Line { name: "accuracy".into(), points };
    let x = Axis { name: "pairs that name the class, at least", scale: Scale::Log };
    let chart = line_chart(&[line], x, Axis { name: "accuracy", scale: Scale::Share });
    let mut listed = Table::new(["class", "pairs", "pairs of its query", "items", "accuracy"]);
    let (most, rest) = found.classes.split_at(found.classes.len().min(LISTED));
    listed.extend(most.iter().chain(&rest[rest.len().saturating_sub(LISTED)..]).map(class));
    let ends = "The classes that are named most, and those that are named least.";
    Section::new(title, about)
        .text(&facts)
        .table(&bands)
        .markup(&chart)
        .heading("Classes", ends)
        .table(&listed)
}

fn class(class: &ClassFrequency) -> [Cell; 5] {
    let accuracy = class.correct as f64 / class.items.max(1) as f64;
    let query = class.query.map_or("–".into(), Cell::Count);
    [
        class.class.as_str().into(),
        class.pairs.into(),
        query,
        class.items.into(),
        Cell::Share(accuracy),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_listed_once() {
        let class = |at: u64| ClassFrequency {
            class: format!("class number {at:02}"),
            pairs: at,
            query: at.is_multiple_of(2).then_some(at),
            items: 4,
            correct: at / 10,
        };
        let few = FrequencyReport::new("toys", 500, (0..20).map(class).collect());
        let html = frequency(&few).html();
        assert_eq!(html.matches("class number").count(), 20);
        assert!(html.contains("<svg") && html.contains("16 to 31"), "{html}");
        let many = FrequencyReport::new("toys", 500, (0..40).map(class).collect());
        let html = frequency(&many).html();
        assert_eq!(html.matches("class number").count(), 2 * LISTED);
        assert!(html.contains("class number 39") && html.contains("class number 00"), "{html}");
    }
}
