//! What training without the copies changed.

use clip_overlap::{ContaminationReport, Dose, Retrained, SetReport, Split};
use clip_stats::Mean;

use crate::chart::{Axis, Line, Scale, line_chart};
use crate::markup::percent_fine;
use crate::{Cell, Section, Table};

/// Appends the arms and doses of the sets that were trained without.
#[must_use]
pub fn retrained(section: Section, account: &ContaminationReport) -> Section {
    let own = |set: &SetReport| Some((set.name.clone(), set.retrained.clone()?));
    let sets: Vec<(String, Retrained)> = account.sets.iter().filter_map(own).collect();
    sets.into_iter().fold(section, |section, (name, found)| one(section, &name, &found))
}

fn one(section: Section, name: &str, found: &Retrained) -> Section {
    let about = format!(
        "The same order of pairs, {} seeds: trained with the copies, with held-out pairs in their places, and with \
         those pairs in as many other places. Means with 95% intervals over seeds: they hold for these items, and \
         are of the noise of training.",
        found.seeds
    );
    let mut table = Table::new(["", "All", "Clean", "Overlap"]);
    for (name, split) in [
        ("with the copies", &found.keep),
        ("others in their places", &found.replace),
        ("what the copies did", &found.effect),
        ("what as many other changes did", &found.noise),
    ] {
        table.push(row(name, split));
    }
    if let Some(observed) = &found.observed {
        let none = || Cell::from("–");
        table.push(["All - Clean with the copies".into(), mean(observed), none(), none()]);
    }
    let mut dose = Table::new(["times seen", "scored items", "with the copies", "without"]);
    dose.extend(found.dose.iter().map(|dose| {
        let times = if dose.from == dose.to {
            dose.to.to_string()
        } else {
            format!("{} to {}", dose.from, dose.to)
        };
        [times.into(), dose.scored.into(), Cell::Share(dose.keep), Cell::Share(dose.replace)]
    }));
    let meaning = "Accuracy on copied items by how often their copies had been seen when they were scored, and on \
                   the same items at the same step without the copies.";
    let section =
        section.heading(&format!("{name}: trained without its copies"), &about).table(&table);
    if dose.is_empty() {
        return section;
    }
    section.heading(&format!("{name}: dose"), meaning).table(&dose).markup(&chart(&found.dose))
}

fn row(name: &str, split: &Split) -> [Cell; 4] {
    let clean = split.clean.as_ref().map_or("–".into(), mean);
    [name.into(), mean(&split.all), clean, mean(&split.overlap)]
}

fn mean(mean: &Mean) -> Cell {
    let interval = mean.interval.map_or(String::new(), |interval| {
        format!(" [{}, {}]", percent_fine(interval.low), percent_fine(interval.high))
    });
    Cell::Markup(format!("<b>{}</b>{interval}", percent_fine(mean.mean)))
}

/// Accuracy by dose, with and without the copies.
fn chart(dose: &[Dose]) -> String {
    let line = |name: &str, get: fn(&Dose) -> f64| Line {
        name: name.to_owned(),
        points: dose.iter().map(|dose| (dose.to as f64, get(dose))).collect(),
    };
    let lines = [line("with the copies", |d| d.keep), line("without", |d| d.replace)];
    let x = Axis { name: "times that copies were seen, at most", scale: Scale::Log };
    line_chart(&lines, x, Axis { name: "accuracy on copied items", scale: Scale::Share })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_and_doses_are_shown() {
        let mean = |mean| Mean::of(&[mean, mean + 0.02], 0.95).unwrap();
        let split = |value| Split { all: mean(value), clean: None, overlap: mean(2.0 * value) };
        let dose = |to, keep| Dose { from: to, to, scored: 9, keep, replace: 0.25 };
        let found = Retrained {
            seeds: 2,
            keep: split(0.3),
            replace: split(0.25),
            effect: split(0.05),
            noise: split(-0.01),
            observed: Some(mean(0.04)),
            dose: vec![dose(1, 0.25), dose(2, 0.5)],
        };
        let html = one(Section::new("x", "y"), "toys", &found).html();
        for part in ["2 seeds", "<b>31.00%</b> [", "<b>6.00%</b> [", "times seen", "<svg", "dose"] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }
}
