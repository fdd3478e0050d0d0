//! The columns of a list that a pipeline is written for.

use std::path::Path;

use clip_crawl::{filled_columns, holds_lists, is_plain_text, require_column};
use clip_report::{CAPTION_COLUMNS, URL_COLUMNS};

/// What the columns of a list are called, where they have other names than the defaults.
pub struct Columns {
    /// Its column of URLs.
    pub url: Option<&'static str>,
    /// Its column of captions; empty where there is none.
    pub caption: Option<&'static str>,
    /// Whether there are captions at all.
    pub captions: bool,
    /// Whether a cell of the captions' column is a list of them.
    pub lists: bool,
    /// Whether there are rows yet.
    pub rows: bool,
    /// Why no build could read it as it is: which columns it has instead.
    pub unnamed: Option<String>,
}

impl Default for Columns {
    fn default() -> Self {
        Self { url: None, caption: None, captions: true, lists: false, rows: true, unnamed: None }
    }
}

impl Columns {
    /// Those of a list, by the names that are usual.
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        let names = [&URL_COLUMNS[..], &CAPTION_COLUMNS].concat();
        let found = filled_columns(path, &names)?;
        let rows = found.is_some();
        let found = found.unwrap_or_default();
        let first = |names: &[&'static str]| names.iter().copied().find(|n| found.contains(n));
        let (url, caption) = (first(&URL_COLUMNS), first(&CAPTION_COLUMNS));
        // An empty list has its columns, too.
        let absent = require_column(path, url.unwrap_or("url")).err();
        let other = |name: &&str| *name != "url" && *name != "caption";
        let named = caption.is_some() || absent.is_some();
        let lists = caption.map(|name| holds_lists(path, name)).transpose()?.unwrap_or(false);
        let (url, caption) = (url.filter(other), caption.filter(other));
        let none = !named && !is_plain_text(path) && require_column(path, "caption").is_err();
        let caption = if none { Some("") } else { caption };
        let (captions, unnamed) = (named || !rows, absent.map(|error| error.to_string()));
        Ok(Self { url, caption, captions, lists, rows, unnamed })
    }
}
