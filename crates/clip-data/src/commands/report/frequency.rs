//! Accuracy by how often the corpus names the class.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, UInt32Type};
use clip_corpus::columns;
use clip_datasets::OpenOptions;
use clip_overlap::{ClassFrequency, ClassNames, FrequencyReport, predictions};
use clip_pipeline::{Config, RunReader, tables_in};
use clip_query::Query;

use crate::recipe;

/// Name of the file with all classes, beside the page.
pub const FILE: &str = "frequency.json";

/// Rows that are in memory at a time.
const BATCH: usize = 65_536;

/// Of each set with predictions; sets are those of `[check] against`.
///
/// # Errors
/// A set that is not among them, predictions of other items, shards without captions.
pub fn frequencies(
    config: &Config,
    run: &RunReader,
    predicted: &[(String, PathBuf)],
) -> anyhow::Result<Vec<FrequencyReport>> {
    if predicted.is_empty() {
        return Ok(Vec::new());
    }
    let against = config.check.iter().flat_map(|check| &check.against);
    let against: HashMap<&str, PathBuf> =
        against.map(|(name, path)| (name.as_str(), config.path(path))).collect();
    let lists = config.queries.is_some().then(recipe::query_lists(config)).transpose()?;
    let tables = tables(&run.layout.shards())?;
    let mut found = Vec::new();
    for (set, file) in predicted {
        let Some(path) = against.get(set.as_str()) else {
            let mut known: Vec<&str> = against.keys().copied().collect();
            known.sort_unstable();
            let known = known.join(", ");
            bail!("--predictions {set}: no such set\nhint: [check] against has {known}");
        };
        let mut classes = classes(set, path, file)?;
        let ids: HashMap<u32, usize> = {
            let names: HashMap<String, usize> =
                classes.iter().map(|class| class.class.to_lowercase()).zip(0..).collect();
            let all = lists.iter().flat_map(|lists| {
                let ids = lists.languages().flat_map(|own| own.ids.clone());
                ids.filter_map(|id| Some((id, lists.get(id)?)))
            });
            let own =
                |(id, query): (u32, &Query)| Some((id, *names.get(&query.text.to_lowercase())?));
            all.filter_map(own).collect()
        };
        ids.values().for_each(|&class| classes[class].query = Some(0));
        let pairs = count(&tables, &ids, &mut classes)?;
        found.push(FrequencyReport::new(set, pairs, classes));
    }
    Ok(found)
}

/// The classes of a set with what was predicted of their items.
fn classes(set: &str, path: &Path, file: &Path) -> anyhow::Result<Vec<ClassFrequency>> {
    let options = OpenOptions { name: Some(set.to_owned()), ..OpenOptions::default() };
    let opened = clip_datasets::open_with(path, &options)?;
    let predicted = predictions::read(file)?;
    let class = |name: &String| ClassFrequency {
        class: name.clone(),
        pairs: 0,
        query: None,
        items: 0,
        correct: 0,
    };
    let mut classes: Vec<ClassFrequency> = opened.classes.iter().map(class).collect();
    let mut known = 0;
    for item in opened.items() {
        let item = item?;
        let (Some(class), Some(found)) = (item.truth.class(), predicted.get(&item.key)) else {
            continue;
        };
        known += 1;
        classes[class].items += 1;
        classes[class].correct += u64::from(found.correct);
    }
    if known < predicted.len() {
        let (file, stray) = (file.display(), predicted.len() - known);
        bail!("{file}: {stray} predictions are of no item of {set} with one class");
    }
    Ok(classes)
}

/// Counts what names each class in the shards' tables; gives the number of pairs.
fn count(
    tables: &[PathBuf],
    ids: &HashMap<u32, usize>,
    classes: &mut [ClassFrequency],
) -> anyhow::Result<u64> {
    let names: Vec<&str> = classes.iter().map(|class| class.class.as_str()).collect();
    let names = ClassNames::new(&names);
    let mut pairs = 0;
    for table in tables {
        let wanted = [columns::CAPTION, columns::CAPTIONS, columns::QUERIES];
        for batch in clip_corpus::scan(table, &wanted, BATCH)? {
            let batch = batch?;
            let captions = columns::text(&batch, columns::CAPTION)
                .with_context(|| format!("{}: no column `caption`", table.display()))?;
            let (lists, queries) = (texts(&batch), queries(&batch)?);
            for row in 0..batch.num_rows() {
                let mut named = names.named(captions.value(row));
                for text in lists.iter().flat_map(|lists| &lists[row]) {
                    named.extend(names.named(text));
                }
                named.into_iter().for_each(|class| classes[class].pairs += 1);
                for id in queries.iter().flat_map(|queries| &queries[row]) {
                    if let Some(&class) = ids.get(id) {
                        *classes[class].query.get_or_insert(0) += 1;
                    }
                }
            }
            pairs += batch.num_rows() as u64;
        }
    }
    Ok(pairs)
}

/// The further captions of each row, where there are such.
fn texts(batch: &RecordBatch) -> Option<Vec<Vec<String>>> {
    let lists = batch.column_by_name(columns::CAPTIONS)?.as_list_opt::<i32>()?;
    let of = |row: usize| {
        let list = (!lists.is_null(row)).then(|| lists.value(row));
        let list = list.and_then(|list| list.as_string_opt::<i32>().cloned());
        list.iter().flatten().flatten().map(str::to_owned).collect()
    };
    Some((0..lists.len()).map(of).collect())
}

/// The queries of each row, where they are matched.
fn queries(batch: &RecordBatch) -> anyhow::Result<Option<Vec<Vec<u32>>>> {
    let Some(column) = batch.column_by_name(columns::QUERIES) else { return Ok(None) };
    let list = DataType::List(Field::new_list_field(DataType::UInt32, true).into());
    let lists = cast(column, &list)?;
    let lists = lists.as_list::<i32>();
    let of = |row: usize| {
        let list = (!lists.is_null(row)).then(|| lists.value(row));
        let list = list.map(|list| list.as_primitive::<UInt32Type>().values().to_vec());
        list.unwrap_or_default()
    };
    Ok(Some((0..lists.len()).map(of).collect()))
}

/// The tables beside the shards of a folder, sorted.
pub fn tables(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    Ok(tables_in(folder))
}
