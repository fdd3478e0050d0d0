//! The frame of a page.

use std::path::Path;

use crate::markup::escape;
use crate::{Result, Section};

/// The style of all pages.
pub const STYLE: &str = include_str!("page.css");

/// A page in the making.
pub struct Page {
    title: String,
    body: String,
}

impl Page {
    /// An empty page.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), body: String::new() }
    }

    /// Appends a section; one without parts is left out.
    pub fn add(&mut self, section: &Section) {
        if !section.is_empty() {
            self.body.push_str(&section.html());
        }
    }

    /// Writes the page.
    pub fn write(&self, path: &Path) -> Result<()> {
        let title = escape(&self.title);
        let html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{}</body>\n</html>\n",
            self.body
        );
        Ok(clip_format::write_atomic(path, html.as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Table;

    #[test]
    fn what_a_page_shows_cannot_break_out_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.html");
        let mut page = Page::new("<script>");
        page.add(&Section::new("left out", ""));
        let mut table = Table::new(["n"]);
        table.push(["\"<b>".into()]);
        page.add(&Section::new("a", "b").table(&table));
        page.write(&path).unwrap();
        let html = std::fs::read_to_string(path).unwrap();
        assert!(!html.contains("<script>") && !html.contains("<b>") && !html.contains("left out"));
        assert!(html.contains("<div class=\"wide\"><table>") && html.contains(".wide {"));
    }
}
