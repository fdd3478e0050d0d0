//! What the rows of a shard ask for: each URL once.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use clip_pipeline::Result;

use super::DatasetConfig;
use super::columns::names;
use super::outcome::Ended;
use super::prepare::{FORMAT, decides};
use super::shards::Shard;
use crate::list::FAULT;
use crate::spool::{Kept, Spool};
use crate::window::WindowPermit;

/// A URL, or the reason why there is none, and the rows that it is about.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub url: Option<String>,
    /// Why the row of the list cannot be used.
    pub fault: Option<String>,
    /// What the rows want of the image: nearly always one thing.
    pub variants: Vec<Variant>,
}

/// Rows that want the same of the same URL.
#[derive(Debug, Clone)]
pub(super) struct Variant {
    /// Null boxes blur nothing.
    pub boxes: Vec<clip_image::BoundingBox>,
    pub expected_hash: Option<String>,
    pub rows: Vec<usize>,
}

/// What `rows` of a shard ask for, in their order.
pub(super) fn asks(
    config: &DatasetConfig,
    shard: &Shard,
    rows: impl Iterator<Item = usize>,
) -> Vec<Ask> {
    let expected = config.verify_hash.as_ref().map(|(_, kind)| kind.name());
    let (mut known, mut asks) = (HashMap::new(), Vec::<Ask>::new());
    for row in rows {
        let boxes = config.bbox_col.as_ref().and_then(|name| shard.boxes(name, row));
        let boxes = boxes.unwrap_or_default();
        let expected = expected.and_then(|name| shard.text(name, row)).map(str::to_owned);
        let fault = shard.text(FAULT, row).map(str::to_owned);
        let url = shard.text("url", row).map(|url| url.trim().to_owned());
        let shared = url.clone().filter(|_| fault.is_none());
        let at = match &shared {
            Some(url) => *known.entry(url.clone()).or_insert(asks.len()),
            None => asks.len(),
        };
        if at == asks.len() {
            // Nearly all have one.
            asks.push(Ask { url, fault, variants: Vec::with_capacity(1) });
        }
        let variants = &mut asks[at].variants;
        let same = |v: &&mut Variant| v.boxes == boxes && v.expected_hash == expected;
        match variants.iter_mut().find(same) {
            Some(variant) => variant.rows.push(row),
            None => variants.push(Variant { boxes, expected_hash: expected, rows: vec![row] }),
        }
    }
    asks
}

/// A shard that is about to be fetched.
pub(super) struct Job {
    pub shard: Arc<Shard>,
    /// What is left to ask.
    pub asks: Vec<Ask>,
    pub spool: Spool,
    /// What an earlier run has of it.
    pub kept: Vec<Kept<Ended>>,
    pub permit: WindowPermit,
}

impl Job {
    /// Opens the shard's spool.
    pub fn open(config: &DatasetConfig, shard: Shard, permit: WindowPermit) -> Result<Self> {
        let rows = shard.rows.num_rows();
        let mut asks = asks(config, &shard, 0..rows);
        let path = spool_path(config, shard.id);
        let (spool, mut kept) = Spool::open::<Ended>(&path, &identity(config, shard.id, &asks))?;
        kept.retain(|(ended, _)| ended.rows.iter().all(|row| *row < rows));
        let mut there = vec![false; rows];
        kept.iter().flat_map(|(ended, _)| &ended.rows).for_each(|row| there[*row] = true);
        for ask in &mut asks {
            ask.variants.retain(|variant| !variant.rows.iter().all(|row| there[*row]));
        }
        asks.retain(|ask| !ask.variants.is_empty());
        Ok(Self { shard: Arc::new(shard), asks, spool, kept, permit })
    }
}

/// Where a shard's results wait until it is written.
pub(super) fn spool_path(config: &DatasetConfig, shard: usize) -> PathBuf {
    config.output_folder.join("_tmp").join(format!("{}.spool", names(config).shard(shard)))
}

/// What a spool is about: settings that decide the results, and what the rows ask for.
fn identity(config: &DatasetConfig, shard: usize, asks: &[Ask]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("clip-data 2026 shard spool v1");
    let mut decides = decides(config);
    // The rows say how their list was read.
    decides.remove(FORMAT);
    let settings = [decides.to_string(), env!("CARGO_PKG_VERSION").into(), shard.to_string()];
    let asks = asks.iter().map(|ask| format!("{ask:?}"));
    for text in settings.into_iter().chain(asks) {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, RecordBatch, StringArray};

    use crate::dataset::HashKind;

    #[test]
    fn rows_with_one_url_are_one_ask_with_what_each_wants_of_it() {
        let text =
            |cells: [Option<&str>; 5]| -> ArrayRef { Arc::new(StringArray::from(cells.to_vec())) };
        let columns = [
            ("md5", text([Some("aa"), None, Some("aa"), Some("bb"), None])),
            (
                "url",
                text([Some("http://a/1"), None, Some(" http://a/1 "), Some("http://a/1"), None]),
            ),
            (FAULT, text([None, None, None, None, Some("line 5")])),
        ];
        let rows = RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true)));
        let shard = Shard { id: 3, rows: rows.unwrap(), keys: None };
        let verify_hash = Some(("hash".to_owned(), HashKind::Md5));
        let config = DatasetConfig { verify_hash, ..Default::default() };
        let asks = asks(&config, &shard, 0..5);
        let found: Vec<(Option<&str>, Vec<Vec<usize>>)> = asks
            .iter()
            .map(|ask| (ask.url.as_deref(), ask.variants.iter().map(|v| v.rows.clone()).collect()))
            .collect();
        let expected = [
            (Some("http://a/1"), vec![vec![0, 2], vec![3]]),
            (None, vec![vec![1]]),
            (None, vec![vec![4]]),
        ];
        assert_eq!(found, expected);
        let identity = |config: &DatasetConfig, asks: &[Ask]| identity(config, 3, asks);
        let other = DatasetConfig { extract_exif: false, ..config.clone() };
        assert_eq!(identity(&config, &asks), identity(&config.clone(), &asks));
        assert_ne!(identity(&config, &asks), identity(&other, &asks));
        assert_ne!(identity(&config, &asks), identity(&config, &asks[1..]));
    }
}
