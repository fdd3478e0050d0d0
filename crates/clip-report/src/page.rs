//! The frame of a page, and the small pieces its sections are made of.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clip_format::ImageFormat;

use crate::Result;

const STYLE: &str = include_str!("page.css");

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

    /// Appends a section; one without content is left out.
    pub fn section(&mut self, title: &str, about: &str, content: &str) {
        if !content.is_empty() {
            let (title, about) = (escape(title), escape(about));
            self.body.push_str(&format!(
                "<section>\n<h2>{title}</h2>\n<p class=\"about\">{about}</p>\n{content}</section>\n"
            ));
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

/// Text that cannot break out of a page.
pub fn escape(text: &str) -> String {
    html_escape::encode_quoted_attribute(text).into_owned()
}

/// An image as a `data:` URL; `format` is its file extension.
pub(crate) fn data_address(bytes: &[u8], format: &str) -> String {
    let kind = ImageFormat::of_extension(format).unwrap_or(ImageFormat::Jpeg).media_type();
    format!("data:{kind};base64,{}", STANDARD.encode(bytes))
}

/// An image inside the page, which is enlarged while it has the focus; `format` is its file
/// extension.
pub fn image_tag(bytes: &[u8], format: &str) -> String {
    format!("<img alt=\"\" tabindex=\"0\" src=\"{}\">", data_address(bytes, format))
}

/// A table; cells are HTML already. All columns but the first are numbers, set to the right.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut html = String::from("<div class=\"wide\"><table>\n<tr>");
    html.extend(head.iter().map(|cell| format!("<th>{}</th>", escape(cell))));
    html.push_str("</tr>\n");
    for row in rows {
        html.push_str("<tr>");
        html.extend(row.iter().map(|cell| format!("<td>{cell}</td>")));
        html.push_str("</tr>\n");
    }
    html.push_str("</table></div>\n");
    html
}

/// 1234567 as "1,234,567".
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// 0.123 as "12.3%".
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_shows_cannot_break_out_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.html");
        let mut page = Page::new("<script>");
        page.section("empty", "", "");
        page.section("a", "b", &table(&["n"], &[vec![escape("\"<b>")]]));
        page.write(&path).unwrap();
        let html = std::fs::read_to_string(path).unwrap();
        assert!(!html.contains("<script>") && !html.contains("<b>") && !html.contains("empty"));
        assert!(html.contains("<div class=\"wide\"><table>") && html.contains(".wide {"));
        assert_eq!((grouped(7), grouped(1_234_567)), ("7".into(), "1,234,567".into()));
    }
}
