//! The captions of evaluation sets in the texts of a corpus.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use clip_overlap::corpus::Unit;
use clip_overlap::text::{CaptionIndex, TextMatch, TextScan};
use clip_overlap::{Scan, SetReport};

/// The sets that have captions.
pub fn captions<'a>(
    sets: impl Iterator<Item = (&'a String, &'a PathBuf)>,
) -> anyhow::Result<Vec<CaptionIndex>> {
    let mut found = Vec::new();
    for (name, path) in sets {
        if let Some(index) = CaptionIndex::open(name, path)? {
            note!("{name}: {} captions of {} items", index.len(), index.keys.len());
            found.push(index);
        }
    }
    Ok(found)
}

/// Their scan, whose results are beside those of the images.
pub fn scan<'a>(sets: &'a [CaptionIndex], images: &Scan, stop: &'a AtomicBool) -> TextScan<'a> {
    TextScan { sets, folder: images.folder.clone(), cancel: stop }
}

/// Every unit in order: the number of texts, and what was found; nothing when it was interrupted.
pub fn compare(scan: &TextScan, units: &[Unit]) -> anyhow::Result<Option<(u64, Vec<TextMatch>)>> {
    let (mut texts, mut matches) = (0, Vec::new());
    if scan.sets.is_empty() {
        return Ok(Some((texts, matches)));
    }
    for unit in units {
        let Some(found) = scan.unit(unit)? else { return Ok(None) };
        texts += found.texts;
        matches.extend(found.matches);
    }
    Ok(Some((texts, matches)))
}

/// What was found, as text.
pub fn table(set: &SetReport, list: usize) -> String {
    let Some(found) = &set.text else { return String::new() };
    let kinds: Vec<String> =
        found.kinds.iter().map(|(kind, count)| format!("{count} {}", kind.name())).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    let (low, high) = (100.0 * found.interval.low, 100.0 * found.interval.high);
    let mut text = format!(
        "\n{}: of {} items, {} have a caption in the corpus{kinds}: {:.2}% [{low:.2}%, {high:.2}%]; {} of them have \
         their image in it too, {} in the same row; {} captions, {} texts\n",
        set.name,
        set.items,
        found.overlap,
        100.0 * found.rate,
        found.both,
        found.same_row,
        found.captions,
        found.texts
    );
    for copy in found.copies.iter().take(list) {
        let (kind, score) = (copy.kind.name(), copy.score);
        text.push_str(&format!("  {score:.3}  {kind:<10}  {}  {}\n", copy.key, copy.text));
    }
    text
}
