//! Recall and precision of captions that were copied with changes:
//!
//!     cargo run --release -p clip-overlap --example caption_copies -- CORPUS…
//!
//! CORPUS is shards or folders as `clip-data contamination` takes them, or a table with a column
//! `caption`, `text` or `TEXT` (`scripts/public_data` makes one, `captions.parquet`).
//!
//! The captions of every second row are an evaluation set; those of the others are distractors.
//! Each caption of the set is copied in six ways, and looked for among all texts at once. What is
//! changed or dropped is all between two spaces; where no word of the caption would be left, there
//! is no copy. Missed copies are listed after the figures.

#![allow(clippy::unwrap_used, reason = "an example may panic")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::DataType;
use clip_overlap::corpus::units;
use clip_overlap::text::CaptionIndex;
use clip_random::Draw;

/// Words that copies are put between.
const FRAME: [&str; 12] = [
    "stock",
    "photo",
    "by",
    "studio",
    "number",
    "print",
    "poster",
    "available",
    "in",
    "sizes",
    "free",
    "shipping",
];
const WAYS: [&str; 6] = ["case", "punctuation", "changed", "dropped", "inserted", "within"];

/// The caption copied in one way; nothing where no word of it is left.
fn copy(way: &str, caption: &str, vocabulary: &[String], draw: &mut Draw) -> Option<String> {
    let mut tokens: Vec<String> = caption.split_whitespace().map(str::to_owned).collect();
    let word = vocabulary[draw.below(vocabulary.len())].clone();
    match way {
        "case" => return Some(caption.to_uppercase()),
        "punctuation" => return Some(tokens.join(", ") + " …"),
        "changed" | "dropped" => {
            let at = draw.below(tokens.len());
            tokens.remove(at);
            if words(&tokens.join(" ")).is_empty() {
                return None;
            }
            if way == "changed" {
                tokens.insert(at, word);
            }
        }
        "inserted" => tokens.insert(draw.below(tokens.len() + 1), word),
        _ => {
            let mut some = |n: usize| -> Vec<String> {
                (0..n).map(|_| FRAME[draw.below(FRAME.len())].to_owned()).collect()
            };
            tokens = [some(6), tokens, some(8)].concat();
        }
    }
    Some(tokens.join(" "))
}

fn words(text: &str) -> Vec<String> {
    let cut = |c: char| !c.is_alphanumeric();
    text.split(cut).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// The texts of a table.
fn column(path: &Path) -> Vec<String> {
    let names = ["caption", "text", "TEXT"];
    let mut texts = Vec::new();
    for batch in clip_corpus::scan(path, &names, 8192).unwrap() {
        let batch = batch.unwrap();
        let column = names.iter().find_map(|name| batch.column_by_name(name)).unwrap();
        let column = arrow::compute::cast(column, &DataType::Utf8).unwrap();
        texts.extend(column.as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    texts
}

fn main() {
    let mut texts = Vec::new();
    for spec in std::env::args().skip(1) {
        if spec.ends_with(".parquet") {
            texts.extend(column(Path::new(&spec)));
            continue;
        }
        for unit in units(&spec).unwrap() {
            unit.each(&mut |row| {
                // CLIP_benchmark's shards have a caption a line.
                texts.extend(row.caption.lines().map(|line| line.trim().to_owned()));
                Ok(true)
            })
            .unwrap();
        }
    }
    let mut seen = HashSet::new();
    texts.retain(|text| words(text).len() >= 5 && seen.insert(words(text)));
    let (set, others): (Vec<_>, Vec<_>) =
        texts.iter().enumerate().partition(|(at, _)| at.is_multiple_of(2));
    let set: Vec<&String> = set.into_iter().map(|(_, text)| text).collect();
    let vocabulary: Vec<String> = {
        let all: HashSet<String> = set.iter().flat_map(|text| words(text)).collect();
        let mut all: Vec<String> = all.into_iter().collect();
        all.sort();
        all
    };
    let started = std::time::Instant::now();
    let items = set.iter().enumerate().map(|(at, text)| (at.to_string(), vec![text.as_str()]));
    let index = CaptionIndex::new("set", items);
    println!("{} captions indexed in {:.1?}", index.len(), started.elapsed());
    let mut draw = Draw::new("copies", 11, 0, 0);
    let mut corpus: Vec<(Option<(usize, &str)>, String)> =
        others.into_iter().map(|(_, text)| (None, text.clone())).collect();
    let mut nothing_left = 0;
    for (way, (at, text)) in
        WAYS.iter().flat_map(|way| set.iter().enumerate().map(move |t| (*way, t)))
    {
        match copy(way, text, &vocabulary, &mut draw) {
            Some(copy) => corpus.push((Some((at, way)), copy)),
            None => nothing_left += 1,
        }
    }
    println!("{nothing_left} copies without a word of their caption are left out");
    let started = std::time::Instant::now();
    let mut recall: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut found: HashMap<bool, usize> = HashMap::new();
    let mut shown = 0;
    let mut missed = Vec::new();
    for (source, text) in &corpus {
        let matches = index.find(text);
        for (item, caption, kind, score) in &matches {
            let right = source.is_some_and(|(at, _)| at == *item as usize);
            *found.entry(right).or_default() += 1;
            if !right && shown < 30 {
                shown += 1;
                println!("false {} {score:.3}\n  {caption}\n  {text}", kind.name());
            }
        }
        if let Some((at, way)) = source {
            let hit = matches.iter().any(|(item, ..)| *item as usize == *at);
            let counts = recall.entry(way).or_default();
            counts.0 += usize::from(hit);
            counts.1 += 1;
            if !hit {
                missed.push(format!("missed {way}\n  {}\n  {text}", set[*at]));
            }
        }
    }
    let rate = corpus.len() as f64 / started.elapsed().as_secs_f64();
    println!("{} texts looked up, {rate:.0} a second on one thread", corpus.len());
    for (way, (hits, all)) in recall {
        println!("recall {way:<12} {:.4} ({hits} of {all})", hits as f64 / all as f64);
    }
    let (right, wrong) = (found.get(&true).unwrap_or(&0), found.get(&false).unwrap_or(&0));
    let precision = *right as f64 / (right + wrong).max(1) as f64;
    println!(
        "precision {precision:.4} ({wrong} of {} pairs are of another caption)",
        right + wrong
    );
    missed.iter().take(20).for_each(|pair| println!("{pair}"));
}
