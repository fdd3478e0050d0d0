//! Pairs by a value, shown with their images.

use std::collections::HashSet;

use crate::copies::Images;
use crate::image::image_tag;
use crate::markup::escape;

/// Pairs that are shown under a title: a line of them.
pub(crate) const SHOWN: usize = 6;

/// A row of a build with the value that it is shown for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pair {
    pub value: f64,
    pub row: u64,
    /// Shown with the value, and in place of an image that there is not.
    pub caption: Option<String>,
}

/// The place and name of a row's image, as [`crate::stored`] wants them.
fn name(row: u64) -> (String, String) {
    (String::new(), row.to_string())
}

/// Those of some pairs.
pub(crate) fn names<'a>(pairs: impl Iterator<Item = &'a Pair>) -> HashSet<(String, String)> {
    pairs.map(|pair| name(pair.row)).collect()
}

/// The pairs under a title, in their order; what has neither image nor caption is left out.
pub(crate) fn figures(title: &str, pairs: &[Pair], images: &Images) -> String {
    let figure = |pair: &Pair| {
        let caption = pair.caption.as_deref().map(escape);
        let image = images.get(&name(pair.row)).map(|bytes| image_tag(bytes));
        let none = || caption.is_some().then(|| "<div class=\"none\">no image</div>".to_owned());
        let image = image.or_else(none)?;
        let value = (pair.value * 1e6).round() / 1e6;
        let caption = caption.map_or_else(String::new, |caption| format!("<br>{caption}"));
        Some(format!("<figure>{image}<figcaption>{value}{caption}</figcaption></figure>\n"))
    };
    let shown: String = pairs.iter().filter_map(figure).collect();
    if shown.is_empty() {
        return shown;
    }
    format!("<p class=\"about\">{}</p>\n<div class=\"grid\">\n{shown}</div>\n", escape(title))
}
