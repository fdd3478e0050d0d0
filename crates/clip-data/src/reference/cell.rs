//! Cells of Markdown's tables.

/// A cell: in one line, and without what would end it.
pub fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
