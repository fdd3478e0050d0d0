//! What of the evaluation sets the corpus holds, shown.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use clip_corpus::{ShardReader, columns, row_part};
use clip_overlap::{ContaminationReport, Copy, HitKind, SetReport};
use clip_pipeline::StageLayout;

use crate::image::image_tag;
use crate::markup::{escape, grouped, percent_fine};
use crate::retrained::retrained;
use crate::texts::texts;
use crate::{Cell, Error, Result, Section, Table};

/// Copies that are shown of a set.
const SHOWN: usize = 48;
/// Copies that a page shows of all sets, but for one of each.
const SHOWN_IN_ALL: usize = 480;

/// Images of a corpus by their place and name in it.
pub type Images = HashMap<(String, String), Vec<u8>>;

/// Rates, effects on scores, and the copies beside what they copy.
///
/// `sets` says where each evaluation set is; `images` holds those of the copies that can be
/// shown.
///
/// # Errors
/// When an evaluation set cannot be read.
pub fn contamination(
    account: &ContaminationReport,
    sets: &BTreeMap<String, PathBuf>,
    images: &Images,
) -> Result<Section> {
    let corpus = &account.corpus;
    let about = "Evaluation items of which the corpus holds a copy: the item on the left, the corpus on the right.";
    let compared = format!(
        "{} images compared{}, {} rows by hashes alone, {} with neither, {} unreadable. Report {}.",
        grouped(corpus.images),
        corpus.in_shards.map_or(String::new(), |rows| format!(
            " by the stage check ({} of them are in the shards)",
            grouped(rows)
        )),
        grouped(corpus.hashed),
        grouped(corpus.without_image),
        grouped(corpus.unreadable),
        account.id
    );
    let mut rates = Table::new([
        "set",
        "items",
        "in the corpus",
        "rate [99.5% interval]",
        "threshold",
        "removed",
        "flat",
        "unverified",
        "captions that name the class",
    ]);
    rates.extend(account.sets.iter().map(rate));
    let meaning = "A row is an evaluation set: how many of its items the corpus still has a copy of, with \
                   the exact 99.5% interval of their share, and from which score on a pair is a copy. Not \
                   among them: copies that were removed since, items matched only by images that show \
                   next to nothing (flat), and items matched only by a hash (unverified).";
    let mut section = Section::new("Contamination", about)
        .text(&compared)
        .heading("Items in the corpus", meaning)
        .table(&rates);
    if let Some(suite) = suite(account) {
        section = section.text(&suite);
    }
    let mut effects = Table::new([
        "set",
        "All",
        "Clean",
        "Clean, Overlap's classes",
        "Overlap",
        "All - Clean",
        "p",
        "p, corrected",
        "verdict",
    ]);
    effects.extend(account.sets.iter().filter_map(effect));
    if !effects.is_empty() {
        let about = "Accuracy on all items, on those without a copy (Clean) and on those with one \
                     (Overlap). All - Clean is what the overlap adds to the score; p is the chance of \
                     Overlap's accuracy or a higher one if it were Clean's.";
        section = section.heading("What the overlap does to accuracy", about).table(&effects);
    }
    let head = ["set", "metric", "All", "Clean", "Overlap", "All - Clean [99.5% bootstrap]"];
    let mut others = Table::new(head);
    others.extend(account.sets.iter().flat_map(differences));
    if !others.is_empty() {
        let about = "The same for metrics that are no accuracies, with a paired bootstrap in place of \
                     the exact test.";
        section = section.heading("What it does to other metrics", about).table(&others);
    }
    section = retrained(section, account);
    section = account.sets.iter().fold(section, texts);
    let most = shown_of_each(account);
    for set in account.sets.iter().filter(|set| !set.copies.is_empty()) {
        if let Some(path) = sets.get(&set.name) {
            section = shown(section, set, most, path, images)?;
        }
    }
    Ok(section)
}

/// Where an image of the corpus came from: its URL, which of a local image names its file, else its
/// name in its place.
pub(crate) fn source(url: &str, place: &str, id: &str) -> String {
    if url.starts_with("https://") || url.starts_with("http://") {
        let url = escape(url);
        return format!("<a class=\"source\" href=\"{url}\" rel=\"noreferrer\">{url}</a>");
    }
    if url.starts_with("file:") {
        return escape(url);
    }
    let file = Path::new(place).file_name().unwrap_or_default().to_string_lossy();
    format!("{} {}", escape(&file), escape(id))
}

fn rate(set: &SetReport) -> [Cell; 9] {
    let (low, high) = (percent_fine(set.interval.low), percent_fine(set.interval.high));
    let captions = set.captions;
    [
        set.name.as_str().into(),
        set.items.into(),
        set.overlap.into(),
        Cell::Markup(format!("<b>{}</b> [{low}, {high}]", percent_fine(set.rate))),
        format!("{:.3}", set.threshold).into(),
        set.removed.into(),
        set.flat.into(),
        set.unverified.into(),
        match captions.captioned {
            0 => "–".into(),
            all => format!("{} of {}", grouped(captions.naming), grouped(all)).into(),
        },
    ]
}

/// All sets in a sentence.
fn suite(account: &ContaminationReport) -> Option<String> {
    let suite = account.suite.as_ref().filter(|suite| suite.sets > 1)?;
    let (median, mean) = (percent_fine(suite.median_rate), percent_fine(suite.mean_rate));
    let (sets, without) = (suite.sets, suite.without_overlap);
    let mut text =
        format!("{sets} sets, {without} without overlap; rate: median {median}, mean {mean}");
    if suite.judged > 0 {
        let most = suite.max_inflation.map_or("–".into(), percent_fine);
        text.push_str(&format!(
            ". Of {} with predictions, {} differ by more than 0.1 points, {} are significant, the most \
             inflated by {most}",
            suite.judged, suite.beyond_tenth, suite.significant
        ));
    }
    Some(text + ".")
}

fn effect(set: &SetReport) -> Option<[Cell; 9]> {
    let effect = set.effect.as_ref()?;
    let share = |value: Option<f64>| value.map_or("–".into(), |value| percent_fine(value).into());
    let number = |value: Option<f64>| value.map_or("–".into(), |p| format!("{p:.3}").into());
    let verdict = match (effect.significant(), &effect.detectable) {
        (true, _) => "significant".to_owned(),
        (false, Some(seen)) => {
            format!("not significant; from {} on it would have been", percent_fine(seen.inflation))
        }
        (false, None) => effect.untested().unwrap_or_default().to_owned(),
    };
    Some([
        set.name.as_str().into(),
        share(Some(effect.accuracy_all)),
        share(effect.accuracy_clean),
        share(set.stratified.as_ref().map(|even| even.clean)),
        share(effect.accuracy_overlap),
        share(effect.inflation),
        number(effect.p),
        effect
            .p_corrected
            .map_or("–".into(), |p| format!("{p:.3} (m = {})", effect.tests).into()),
        verdict.into(),
    ])
}

fn differences(set: &SetReport) -> Vec<[Cell; 6]> {
    let number = |value: Option<f64>| value.map_or("–".into(), |v| format!("{v:.4}"));
    let row = |d: &clip_overlap::Difference| {
        let interval =
            d.interval.map_or(String::new(), |i| format!(" [{:.4}, {:.4}]", i.low, i.high));
        [
            set.name.as_str().into(),
            d.metric.as_str().into(),
            number(Some(d.all)).into(),
            number(d.clean).into(),
            number(d.overlap).into(),
            (number(d.inflation) + &interval).into(),
        ]
    };
    set.differences.iter().map(row).collect()
}

/// Copies that are shown of each set, so that a page of many sets has a bounded size, too.
fn shown_of_each(account: &ContaminationReport) -> usize {
    let sets = account.sets.iter().filter(|set| !set.copies.is_empty()).count();
    (SHOWN_IN_ALL / sets.max(1)).clamp(1, SHOWN)
}

/// At most `most` copies from the most to the least alike, evenly: whether the last ones are copies
/// decides most.
fn chosen(set: &SetReport, most: usize) -> impl Iterator<Item = &Copy> {
    let (all, most) = (set.copies.len(), set.copies.len().min(most));
    (0..most).map(move |at| &set.copies[at * (all - 1) / (most - 1).max(1)])
}

/// Evaluation item on the left, corpus image on the right.
fn shown(
    section: Section,
    set: &SetReport,
    most: usize,
    path: &Path,
    images: &Images,
) -> Result<Section> {
    let copies: Vec<&Copy> = chosen(set, most).collect();
    let wanted = copies.iter().map(|copy| copy.key.as_str()).collect();
    let items = items(&set.name, path, &wanted)?;
    let mut kinds: BTreeMap<HitKind, u64> = BTreeMap::new();
    set.copies.iter().for_each(|copy| *kinds.entry(copy.kind).or_default() += 1);
    let kinds: Vec<String> =
        kinds.iter().map(|(kind, count)| format!("{} {}", grouped(*count), kind.name())).collect();
    let about = format!(
        "{} items with a copy: {}. Shown: {}, evenly from the most to the least alike.",
        grouped(set.copies.len() as u64),
        kinds.join(", "),
        copies.len()
    );
    let mut html = String::from("<div class=\"grid pairs\">\n");
    for copy in copies {
        let place = (copy.place.clone(), copy.id.clone());
        let removed = if copy.kept { "" } else { ", removed" };
        html.push_str(&format!(
            "<figure title=\"{} {}\"><div class=\"pair\">{}{}</div><figcaption><b>{:.3}</b> {}{removed}<br>{}\
             <br>{}<br><span class=\"caption\">{}</span></figcaption></figure>\n",
            escape(&copy.place),
            escape(&copy.id),
            side(items.get(&copy.key)),
            side(images.get(&place)),
            copy.score,
            copy.kind.name(),
            escape(&copy.key),
            source(&copy.url, &copy.place, &copy.id),
            escape(&copy.caption)
        ));
    }
    Ok(section.heading(&set.name, &about).markup(&(html + "</div>\n")))
}

/// The encoded images of some items of an evaluation set.
pub(crate) fn items(
    name: &str,
    path: &Path,
    wanted: &HashSet<&str>,
) -> Result<HashMap<String, Vec<u8>>> {
    let mut items = HashMap::new();
    for item in clip_datasets::open_unlabelled(name, path)?.items() {
        let item = item?;
        if wanted.contains(item.key.as_str()) {
            items.insert(item.key, item.image);
        }
    }
    Ok(items)
}

/// An image, or an empty place of its size.
pub(crate) fn side(bytes: Option<&Vec<u8>>) -> String {
    let bytes = bytes.filter(|bytes| !bytes.is_empty());
    bytes.map_or("<span></span>".into(), |bytes| image_tag(bytes))
}

/// The images of a build's rows, wanted by place and name: those of `fetch`, the stage that stored
/// them, and of `shards` where a build with `--lean` removed them there.
///
/// Parts keep their numbers, so a row's id says where to look.
pub fn stored(
    wanted: &HashSet<(String, String)>,
    fetch: &StageLayout,
    shards: &Path,
) -> Result<Images> {
    let mut parts: BTreeMap<usize, Rows> = BTreeMap::new();
    for name in wanted {
        if let Ok(row) = name.1.parse::<u64>() {
            parts.entry(row_part(row)).or_default().insert(row, name);
        }
    }
    let (mut found, mut moved) = (Images::new(), Rows::new());
    for (part, rows) in parts {
        let path = fetch.images(part);
        if !path.exists() {
            moved.extend(rows);
            continue;
        }
        for batch in clip_corpus::read_parquet(&path)? {
            let images =
                batch.column_by_name(columns::IMAGE).and_then(|c| c.as_binary_opt::<i32>());
            let ids = columns::uint64(&batch, columns::ROW);
            let (Some(images), Some(ids)) = (images, ids) else {
                return Err(Error::file(&path, "no columns `row` and `image`"));
            };
            for (at, row) in ids.values().iter().enumerate() {
                if let Some(&name) = rows.get(row) {
                    found.insert(name.clone(), images.value(at).to_vec());
                }
            }
        }
    }
    if !moved.is_empty() {
        add_from_shards(&moved, shards, &mut found)?;
    }
    Ok(found)
}

/// Place and name of images by row.
type Rows<'a> = HashMap<u64, &'a (String, String)>;

fn add_from_shards(wanted: &Rows, shards: &Path, found: &mut Images) -> Result<()> {
    for table in tables(shards)? {
        let mut keys = HashMap::new();
        for batch in clip_corpus::scan(&table, &[columns::ROW, "key"], 65_536)? {
            let batch = batch?;
            let (rows, names) =
                (columns::uint64(&batch, columns::ROW), columns::text(&batch, "key"));
            let (Some(rows), Some(names)) = (rows, names) else {
                return Err(Error::file(&table, "no columns `row` and `key`"));
            };
            for (at, row) in rows.values().iter().enumerate() {
                if let Some(&name) = wanted.get(row) {
                    keys.insert(names.value(at).to_owned(), name);
                }
            }
        }
        if keys.is_empty() {
            continue;
        }
        for sample in ShardReader::open(&table.with_extension("tar"))? {
            let sample = sample?;
            if let (Some(&name), Some((_, bytes))) = (keys.get(&sample.key), sample.image()) {
                found.insert(name.clone(), bytes.to_vec());
            }
        }
    }
    Ok(())
}

/// The tables of shards, sorted; none where there are no shards.
fn tables(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut tables = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.map_err(|e| Error::file(folder, e))?.path();
        tables.extend(path.extension().is_some_and(|e| e == "parquet").then_some(path));
    }
    tables.sort();
    Ok(tables)
}

/// Place and name of the corpus' images that an account's page shows.
pub fn shown_copies(account: &ContaminationReport) -> HashSet<(String, String)> {
    let most = shown_of_each(account);
    let shown = account.sets.iter().flat_map(|set| chosen(set, most));
    shown.map(|copy| (copy.place.clone(), copy.id.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_datasets::ItemHashes;
    use clip_overlap::{SetDecision, Subject};

    #[test]
    fn small_rates_and_inflations_are_not_rounded_away() {
        let set = Subject {
            name: "toys",
            index: "0",
            items: 10_000,
            unreadable: 0,
            item_hashes: &ItemHashes::default(),
        };
        let set = SetReport::new(&set, &[], |_| true, &SetDecision::default()).unwrap();
        let effect = clip_stats::contamination(10_000, 5, 5_003, 5, 1).unwrap();
        let set = SetReport { rate: 0.0005, effect: Some(effect), ..set };
        let account = ContaminationReport::new(clip_overlap::CorpusAccount::default(), vec![set]);
        let page = contamination(&account, &BTreeMap::new(), &Images::new()).unwrap().html();
        for part in ["<b>0.05%</b> [0.00%, 0.06%]", ">50.03%<", ">50.01%<", ">0.02%<"] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}
