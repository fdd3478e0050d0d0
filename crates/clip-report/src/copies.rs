//! What of the evaluation sets the corpus holds, shown.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use clip_corpus::{ShardReader, columns, row_part};
use clip_format::ImageFormat;
use clip_overlap::{ContaminationReport, Copy, HitKind, SetReport};
use clip_pipeline::StageLayout;

use crate::page::{escape, grouped, image_tag, percent, table};
use crate::{Error, Result};

/// Copies that are shown of each set.
const SHOWN: usize = 48;

/// Images of a corpus by their place and name in it.
pub type Images = HashMap<(String, String), Vec<u8>>;

/// Rates, effects on scores, and the copies beside what they copy.
///
/// `sets` says where each evaluation set is; `images` holds those of the copies that can be
/// shown.
pub fn contamination(
    account: &ContaminationReport,
    sets: &BTreeMap<String, PathBuf>,
    images: &Images,
) -> Result<String> {
    let corpus = &account.corpus;
    let mut html = format!(
        "<p>{} images compared, {} rows by hashes alone, {} with neither, {} unreadable. Report {}.</p>\n",
        grouped(corpus.images),
        grouped(corpus.hashed),
        grouped(corpus.without_image),
        grouped(corpus.unreadable),
        escape(&account.id)
    );
    let head = [
        "set",
        "items",
        "in the corpus",
        "rate [99.5% interval]",
        "threshold",
        "removed",
        "flat",
        "unverified",
        "captions that name the class",
    ];
    let about = "A row is an evaluation set: how many of its items the corpus still has a copy of, with \
                 the exact 99.5% interval of their share, and from which score on a pair is a copy. Not \
                 among them: copies that were removed since, items matched only by images that show \
                 next to nothing (flat), and items matched only by a hash (unverified).";
    let rates = table(&head, &account.sets.iter().map(rate).collect::<Vec<_>>());
    html.push_str(&part("Items in the corpus", about, &rates));
    html.push_str(&suite(account));
    let effects: Vec<_> = account.sets.iter().filter_map(effect).collect();
    if !effects.is_empty() {
        let head = [
            "set",
            "All",
            "Clean",
            "Clean, Overlap's classes",
            "Overlap",
            "All - Clean",
            "p",
            "p, corrected",
            "verdict",
        ];
        let about = "Accuracy on all items, on those without a copy (Clean) and on those with one \
                     (Overlap). All - Clean is what the overlap adds to the score; p is the chance of \
                     Overlap's accuracy or a higher one if it were Clean's.";
        html.push_str(&part("What the overlap does to accuracy", about, &table(&head, &effects)));
    }
    let others: Vec<_> = account.sets.iter().flat_map(differences).collect();
    if !others.is_empty() {
        let head = ["set", "metric", "All", "Clean", "Overlap", "All - Clean [99.5% bootstrap]"];
        let about = "The same for metrics that are no accuracies, with a paired bootstrap in place of \
                     the exact test.";
        html.push_str(&part("What it does to other metrics", about, &table(&head, &others)));
    }
    for set in account.sets.iter().filter(|set| !set.copies.is_empty()) {
        if let Some(path) = sets.get(&set.name) {
            html.push_str(&shown(set, path, images)?);
        }
    }
    Ok(html)
}

/// A table under its title and what it means.
fn part(title: &str, about: &str, table: &str) -> String {
    let (title, about) = (escape(title), escape(about));
    format!("<h3>{title}</h3>\n<p class=\"about\">{about}</p>\n{table}")
}

/// Where an image of the corpus came from: its URL, else its name in its file.
pub(crate) fn source(url: &str, place: &str, id: &str) -> String {
    if url.starts_with("https://") || url.starts_with("http://") {
        let url = escape(url);
        return format!("<a class=\"source\" href=\"{url}\" rel=\"noreferrer\">{url}</a>");
    }
    let file = Path::new(place).file_name().unwrap_or_default().to_string_lossy();
    format!("{} {}", escape(&file), escape(id))
}

fn rate(set: &SetReport) -> Vec<String> {
    let (low, high) = (percent(set.interval.low), percent(set.interval.high));
    let captions = set.captions;
    vec![
        escape(&set.name),
        grouped(set.items),
        grouped(set.overlap),
        format!("<b>{}</b> [{low}, {high}]", percent(set.rate)),
        format!("{:.3}", set.threshold),
        grouped(set.removed),
        grouped(set.flat),
        grouped(set.unverified),
        match captions.captioned {
            0 => "–".into(),
            all => format!("{} of {}", grouped(captions.naming), grouped(all)),
        },
    ]
}

fn suite(account: &ContaminationReport) -> String {
    let Some(suite) = account.suite.as_ref().filter(|suite| suite.sets > 1) else {
        return String::new();
    };
    let (median, mean) = (percent(suite.median_rate), percent(suite.mean_rate));
    let (sets, without) = (suite.sets, suite.without_overlap);
    let mut text =
        format!("{sets} sets, {without} without overlap; rate: median {median}, mean {mean}");
    if suite.judged > 0 {
        let most = suite.max_inflation.map_or("–".into(), percent);
        text.push_str(&format!(
            ". Of {} with predictions, {} differ by more than 0.1 points, {} are significant, the most \
             inflated by {most}",
            suite.judged, suite.beyond_tenth, suite.significant
        ));
    }
    format!("<p>{text}.</p>\n")
}

fn effect(set: &SetReport) -> Option<Vec<String>> {
    let effect = set.effect.as_ref()?;
    let share = |value: Option<f64>| value.map_or("–".into(), percent);
    let number = |value: Option<f64>| value.map_or("–".into(), |p| format!("{p:.3}"));
    let verdict = match (effect.significant(), &effect.detectable) {
        (true, _) => "significant".to_owned(),
        (false, Some(seen)) => {
            format!("not significant; from {} on it would have been", percent(seen.inflation))
        }
        (false, None) => "too few overlap for a test".to_owned(),
    };
    Some(vec![
        escape(&set.name),
        percent(effect.accuracy_all),
        share(effect.accuracy_clean),
        share(set.stratified.as_ref().map(|even| even.clean)),
        share(effect.accuracy_overlap),
        share(effect.inflation),
        number(effect.p),
        effect.p_corrected.map_or("–".into(), |p| format!("{p:.3} (m = {})", effect.tests)),
        verdict,
    ])
}

fn differences(set: &SetReport) -> Vec<Vec<String>> {
    let number = |value: Option<f64>| value.map_or("–".into(), |v| format!("{v:.4}"));
    let row = |d: &clip_overlap::Difference| {
        let interval =
            d.interval.map_or(String::new(), |i| format!(" [{:.4}, {:.4}]", i.low, i.high));
        vec![
            escape(&set.name),
            escape(&d.metric),
            number(Some(d.all)),
            number(d.clean),
            number(d.overlap),
            number(d.inflation) + &interval,
        ]
    };
    set.differences.iter().map(row).collect()
}

/// Copies from the most to the least alike, evenly: whether the last ones are copies decides most.
fn chosen(set: &SetReport) -> impl Iterator<Item = &Copy> {
    let (all, most) = (set.copies.len(), set.copies.len().min(SHOWN));
    (0..most).map(move |at| &set.copies[at * (all - 1) / (most - 1).max(1)])
}

/// Evaluation item on the left, corpus image on the right.
fn shown(set: &SetReport, path: &Path, images: &Images) -> Result<String> {
    let copies: Vec<&Copy> = chosen(set).collect();
    let wanted = copies.iter().map(|copy| copy.key.as_str()).collect();
    let items = items(&set.name, path, &wanted)?;
    let mut kinds: BTreeMap<HitKind, u64> = BTreeMap::new();
    set.copies.iter().for_each(|copy| *kinds.entry(copy.kind).or_default() += 1);
    let kinds: Vec<String> =
        kinds.iter().map(|(kind, count)| format!("{} {}", grouped(*count), kind.name())).collect();
    let mut html = format!(
        "<h3>{}</h3>\n<p class=\"about\">{} items with a copy: {}. Shown: {}, evenly from the most to the least \
         alike.</p>\n<div class=\"grid pairs\">\n",
        escape(&set.name),
        grouped(set.copies.len() as u64),
        kinds.join(", "),
        copies.len()
    );
    for copy in copies {
        let place = (copy.place.clone(), copy.id.clone());
        let fate = if copy.kept { "" } else { ", removed" };
        html.push_str(&format!(
            "<figure title=\"{} {}\"><div class=\"pair\">{}{}</div><figcaption><b>{:.3}</b> {}{fate}<br>{}\
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
    Ok(html + "</div>\n")
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

pub(crate) fn side(bytes: Option<&Vec<u8>>) -> String {
    let bytes = bytes.filter(|bytes| !bytes.is_empty());
    bytes.map_or("<span></span>".into(), |bytes| image_tag(bytes, format(bytes)))
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
    let shown = account.sets.iter().flat_map(chosen);
    shown.map(|copy| (copy.place.clone(), copy.id.clone())).collect()
}

fn format(bytes: &[u8]) -> &'static str {
    ImageFormat::sniff(bytes).map_or("jpg", ImageFormat::extension)
}
