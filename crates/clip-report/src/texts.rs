//! The captions of an evaluation set that the corpus has.

use clip_overlap::{SetReport, TextOverlap};

use crate::markup::percent_fine;
use crate::{Cell, Section, Table};

/// Captions that are shown.
const SHOWN: usize = 40;

/// Appends what was found of a set with captions.
#[must_use]
pub fn texts(section: Section, set: &SetReport) -> Section {
    let Some(found) = &set.text else { return section };
    let kinds = found.kinds.iter().map(|(kind, count)| (kind.name(), Cell::Count(*count)));
    let (low, high) = (percent_fine(found.interval.low), percent_fine(found.interval.high));
    let rate = format!("<b>{}</b> [{low}, {high}]", percent_fine(found.rate));
    let facts = [
        ("captions of the set", found.captions.into()),
        ("texts of the corpus", found.texts.into()),
        ("items with a caption in the corpus", found.overlap.into()),
        ("their share [99.5% interval]", Cell::Markup(rate)),
    ];
    let images = [
        ("with their image in the corpus, too", found.both.into()),
        ("in the same row", found.same_row.into()),
    ];
    let about = "Captions that a text of the corpus has: byte by byte (exact), but for case and punctuation \
                 (normalised), with few words changed (near), or as a part of it (within).";
    let all = facts.into_iter().chain(kinds).chain(images);
    section
        .heading(&format!("{}: captions", set.name), about)
        .table(&Table::of_facts(all))
        .table(&listed(found))
}

fn listed(found: &TextOverlap) -> Table {
    let mut table = Table::new(["item", "its caption", "the text", "how"]);
    table.extend(found.copies.iter().take(SHOWN).map(|copy| {
        let how = format!("{} {:.3}", copy.kind.name(), copy.score);
        [copy.key.as_str(), copy.caption.as_str(), copy.text.as_str(), how.as_str()].map(Cell::from)
    }));
    table
}
