//! What of the evaluation sets the corpus holds, shown.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use clip_corpus::{columns, row_part};
use clip_overlap::{Account, Copy, SetAccount};

use crate::page::{escape, grouped, percent, picture, table};
use crate::{Error, Result};

/// Copies that are shown of each set.
const SHOWN: usize = 24;

/// Rates, effects on scores, and the copies beside what they copy.
///
/// `sets` says where each evaluation set lies; `fetch` is the folder of the stage that stored the images.
pub fn contamination(
    account: &Account,
    sets: &BTreeMap<String, PathBuf>,
    fetch: &Path,
) -> Result<String> {
    let mut html = table(
        &["set", "items", "in the corpus", "rate [99.5% interval]"],
        &account.sets.iter().map(rate).collect::<Vec<_>>(),
    );
    let effects: Vec<_> = account.sets.iter().filter_map(effect).collect();
    if !effects.is_empty() {
        let head = ["set", "All", "Clean", "Overlap", "All - Clean", "p, corrected", "verdict"];
        html.push_str(&table(&head, &effects));
    }
    for set in account.sets.iter().filter(|set| !set.copies.is_empty()) {
        if let Some(path) = sets.get(&set.name) {
            html.push_str(&shown(set, path, fetch)?);
        }
    }
    Ok(html)
}

fn rate(set: &SetAccount) -> Vec<String> {
    let (low, high) = (percent(set.interval.low), percent(set.interval.high));
    vec![
        escape(&set.name),
        grouped(set.items),
        grouped(set.overlap),
        format!("<b>{}</b> [{low}, {high}]", percent(set.rate)),
    ]
}

fn effect(set: &SetAccount) -> Option<Vec<String>> {
    let effect = set.effect.as_ref()?;
    let share = |value: Option<f64>| value.map_or("–".into(), percent);
    let verdict = match (effect.significant(), &effect.detectable) {
        (true, _) => "significant".to_owned(),
        (false, Some(seen)) => {
            format!("not significant; from {} on it would have been", percent(seen.inflation))
        }
        (false, None) => "too few overlap to tell".to_owned(),
    };
    Some(vec![
        escape(&set.name),
        percent(effect.accuracy_all),
        share(effect.accuracy_clean),
        share(effect.accuracy_overlap),
        share(effect.inflation),
        effect.p_corrected.map_or("–".into(), |p| format!("{p:.3}")),
        verdict,
    ])
}

/// Evaluation item on the left, corpus image on the right.
fn shown(set: &SetAccount, path: &Path, fetch: &Path) -> Result<String> {
    let copies = &set.copies[..set.copies.len().min(SHOWN)];
    let wanted: Vec<&str> = copies.iter().map(|copy| copy.key.as_str()).collect();
    let mut items = HashMap::new();
    for item in clip_datasets::open(path)?.items() {
        let item = item?;
        if wanted.contains(&item.key.as_str()) {
            items.insert(item.key, item.image);
        }
    }
    let images = images(copies, fetch)?;
    let mut html = String::from("<div class=\"grid\">\n");
    for copy in copies {
        let side = |bytes: Option<&Vec<u8>>| {
            bytes.map_or(String::new(), |bytes| picture(bytes, format(bytes)))
        };
        html.push_str(&format!(
            "<figure><div class=\"pair\">{}{}</div><figcaption>{:.3} · {} · {}</figcaption></figure>\n",
            side(items.get(&copy.key)),
            side(images.get(&copy.row)),
            copy.score,
            escape(&copy.key),
            escape(&copy.caption)
        ));
    }
    Ok(html + "</div>\n")
}

/// The stored images of copies, by row. Parts keep their numbers, so a row's id says where to look.
fn images(copies: &[Copy], fetch: &Path) -> Result<HashMap<u64, Vec<u8>>> {
    let mut parts: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for copy in copies {
        parts.entry(row_part(copy.row)).or_default().push(copy.row);
    }
    let mut found = HashMap::new();
    for (part, rows) in parts {
        let path = fetch.join(format!("images/part-{part:05}.parquet"));
        for batch in clip_corpus::read_parquet(&path)? {
            let images =
                batch.column_by_name(columns::IMAGE).and_then(|c| c.as_binary_opt::<i32>());
            let ids = columns::uint64(&batch, columns::ROW);
            let (Some(images), Some(ids)) = (images, ids) else {
                return Err(Error::file(&path, "no columns `row` and `image`"));
            };
            for (at, row) in ids.values().iter().enumerate() {
                if rows.contains(row) {
                    found.insert(*row, images.value(at).to_vec());
                }
            }
        }
    }
    Ok(found)
}

fn format(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => "png",
        [b'R', b'I', b'F', b'F', ..] => "webp",
        [b'G', b'I', b'F', ..] => "gif",
        _ => "jpg",
    }
}
