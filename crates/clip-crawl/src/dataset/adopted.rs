//! A data set of img2dataset that a fetch takes up: its settings and its list are not known, but
//! its tables show whether they are these.

use std::collections::HashSet;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use clip_corpus::columns as names_of;
use clip_pipeline::Result;
use clip_pipeline::config::fetch::ResizeMode;

use super::DatasetConfig;
use super::columns::names;
use super::shards::{Shard, Shards, Skip};
use crate::list::{Column, ListFile};

/// Why the shards with these numbers are not those of the list under these settings; nothing where
/// they may be. A shard without a table says nothing.
///
/// # Errors
/// When the list or a table cannot be read.
pub(super) fn contradiction(
    config: &DatasetConfig,
    files: &[ListFile],
    columns: &[Column],
    folder: &Path,
    done: &HashSet<usize>,
) -> Result<Option<String>> {
    let last = done.iter().max().copied().unwrap_or(0);
    let (files, columns) = (files.to_vec(), columns.to_vec());
    let skip = Skip { done: HashSet::new(), job: None };
    let rows = config.number_sample_per_shard;
    let shards = Shards { files, columns, rows, first: 0, end: None, skip };
    let (mut found, mut seen) = (Ok(None), HashSet::new());
    shards.each(&mut |shard| {
        if done.contains(&shard.id) {
            seen.insert(shard.id);
            found = of_shard(config, folder, &shard);
        }
        shard.id < last && matches!(found, Ok(None))
    })?;
    let beyond = done.iter().filter(|id| !seen.contains(id)).min();
    match (found?, beyond) {
        (None, Some(beyond)) => {
            Ok(Some(format!("the list has no shard {beyond} of {rows} rows, which is there")))
        }
        (found, _) => Ok(found),
    }
}

fn of_shard(config: &DatasetConfig, folder: &Path, shard: &Shard) -> Result<Option<String>> {
    let table = format!("{}.parquet", names(config).shard(shard.id));
    let path = folder.join(&table);
    if !path.is_file() {
        return Ok(None);
    }
    let wanted = [names_of::URL, "status", "width", "height"];
    let mut stored = Vec::new();
    for batch in clip_corpus::scan(&path, &wanted, 8192)? {
        let batch = batch?;
        if let Some(odd) = other_size(config, &batch) {
            return Ok(Some(format!(
                "{table}: an image of {odd}: another --image_size or --resize_mode made it"
            )));
        }
        let Some(urls) = names_of::text(&batch, names_of::URL) else { return Ok(None) };
        stored.extend(urls.iter().map(|url| url.unwrap_or_default().trim().to_owned()));
    }
    let url = |row| shard.text(names_of::URL, row).unwrap_or_default().trim().to_owned();
    let mut listed: Vec<String> = (0..shard.rows.num_rows()).map(url).collect();
    stored.sort_unstable();
    listed.sort_unstable();
    let other = format!(
        "{table} has other URLs than the rows of its number: another list, or another --number_sample_per_shard"
    );
    Ok((stored != listed).then_some(other))
}

/// The size of an image that these settings do not make.
fn other_size(config: &DatasetConfig, batch: &RecordBatch) -> Option<String> {
    if config.image.resize_only_if_bigger || config.disable_all_reencoding {
        return None;
    }
    let side = config.image.image_size as i32;
    let fits = |width: i32, height: i32| match config.image.resize_mode {
        ResizeMode::No => true,
        ResizeMode::Border | ResizeMode::CenterCrop => width == side && height == side,
        ResizeMode::KeepRatio => width.min(height) == side,
        ResizeMode::KeepRatioLargest => width.max(height) == side,
    };
    let status = names_of::text(batch, "status")?;
    let number = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<Int32Type>();
    let (widths, heights) = (number("width")?, number("height")?);
    let stored = (0..batch.num_rows())
        .filter(|&row| status.is_valid(row) && status.value(row) == "success")
        .filter(|&row| widths.is_valid(row) && heights.is_valid(row));
    let mut sizes = stored.map(|row| (widths.value(row), heights.value(row)));
    sizes
        .find(|&(width, height)| !fits(width, height))
        .map(|(width, height)| format!("{width} x {height} pixels"))
}
