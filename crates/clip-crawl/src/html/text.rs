//! Captions as they are kept.

/// A text with its white space folded.
pub(super) fn clean(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same of text whose entities are not undone.
pub(crate) fn clean_text(text: &str) -> String {
    clean(&html_escape::decode_html_entities(text))
}
