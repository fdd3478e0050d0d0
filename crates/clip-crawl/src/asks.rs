//! What the rows of a part ask for: each image once.

use std::collections::HashMap;

use arrow::array::{Array, RecordBatch, StringArray};
use clip_corpus::columns;
use clip_pipeline::config::fetch::ImageConfig;
use clip_pipeline::{Error, Result};

use crate::error::{FETCH, was_asked};

/// Where the image of some rows is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    Url(String),
    /// In a file of the source.
    Local(String),
}

/// The images that a part's rows need, each once.
pub(crate) struct Asks {
    pub all: Vec<Ask>,
    /// Of each row, which it needs.
    pub rows: Vec<usize>,
    /// Rows that need each.
    pub shared: Vec<u64>,
}

impl Asks {
    pub fn new(batch: &RecordBatch) -> Result<Self> {
        let lacks = || Error::stage(FETCH, "the input lacks the text column `url`");
        let urls = columns::text(batch, columns::URL).ok_or_else(lacks)?;
        let locations = columns::text(batch, columns::LOCATION);
        let (mut known, mut asks) =
            (HashMap::new(), Self { all: vec![], rows: vec![], shared: vec![] });
        for row in 0..batch.num_rows() {
            let text =
                |column: &StringArray| column.is_valid(row).then(|| column.value(row).to_owned());
            let ask = match locations.and_then(text) {
                Some(location) => Ask::Local(location),
                None => Ask::Url(text(urls).unwrap_or_default()),
            };
            let at = *known.entry(ask).or_insert_with_key(|ask| {
                asks.all.push(ask.clone());
                asks.shared.push(0);
                asks.all.len() - 1
            });
            asks.rows.push(at);
            asks.shared[at] += 1;
        }
        Ok(asks)
    }

    /// URLs that were asked of the network; `rejected` has the reasons why some gave nothing.
    pub fn urls<'a>(&self, rejected: impl Fn(usize) -> Option<&'a str>) -> u64 {
        let asked = |at: usize| rejected(at).is_none_or(was_asked);
        let urls = self.all.iter().enumerate();
        urls.filter(|(at, ask)| matches!(ask, Ask::Url(_)) && asked(*at)).count() as u64
    }

    /// What a spool of them is about.
    pub fn identity(&self, image: &ImageConfig) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("clip-data 2026 fetch spool v1");
        let settings = serde_json::json!([image, env!("CARGO_PKG_VERSION")]).to_string();
        let asks = self.all.iter().map(|ask| match ask {
            Ask::Url(url) => (0, url),
            Ask::Local(location) => (1, location),
        });
        for (kind, text) in [(2, &settings)].into_iter().chain(asks) {
            hasher.update(&[kind]).update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::ArrayRef;
    use std::sync::Arc;

    #[test]
    fn rows_share_what_they_ask_for_and_a_url_is_no_location() {
        let text = |cells: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(cells)) };
        let urls = ["http://a/1", "http://a/2", "http://a/1", "http://a/1"].map(Some).to_vec();
        let batch = RecordBatch::try_from_iter_with_nullable([
            (columns::URL, text(urls), true),
            (columns::LOCATION, text(vec![None, None, None, Some("http://a/1")]), true),
        ]);
        let asks = Asks::new(&batch.unwrap()).unwrap();
        let url = |url: &str| Ask::Url(url.into());
        let local = Ask::Local("http://a/1".into());
        assert_eq!(asks.all, [url("http://a/1"), url("http://a/2"), local]);
        assert_eq!((asks.rows.clone(), asks.shared.clone()), (vec![0, 1, 0, 2], vec![2, 1, 1]));
        assert_eq!(asks.urls(|_| None), 2);
        assert_eq!(asks.urls(|at| [Some("blocked_address"), Some("http_4xx"), None][at]), 1);
        let (small, large) =
            (ImageConfig { image_size: 1, ..Default::default() }, ImageConfig::default());
        assert_ne!(asks.identity(&small), asks.identity(&large));
        let fewer = Asks { all: asks.all[1..].to_vec(), rows: vec![], shared: vec![] };
        assert_ne!(asks.identity(&large), fewer.identity(&large));
    }
}
