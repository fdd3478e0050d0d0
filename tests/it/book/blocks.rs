//! The indented and fenced blocks of a page, and what marks say of them.

/// Whether a block is run.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// In the world of this name.
    Run(String),
    /// Not, for this reason.
    NotRun(String),
}

/// A block.
#[derive(Debug, PartialEq)]
pub struct Block {
    /// Its first line, from 1.
    pub line: usize,
    /// Its text, without the indentation.
    pub text: String,
    /// The last mark above it.
    pub mark: Option<Mark>,
}

/// The blocks of a page, in order. An indented block continues over empty lines.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut mark, mut fenced, mut open, mut paragraph) = (None, false, false, false);
    for (at, line) in page.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            (fenced, open, paragraph) = (!fenced, false, false);
            continue;
        }
        if let Some(found) = marked(line) {
            (mark, open, paragraph) = (Some(found), false, false);
            continue;
        }
        let code = fenced || line.starts_with("    ") && !paragraph;
        let text = format!("{}\n", line.strip_prefix("    ").unwrap_or(line));
        match blocks.last_mut() {
            Some(block) if open && (code || line.is_empty()) => block.text.push_str(&text),
            _ if code => blocks.push(Block { line: at + 1, text, mark: mark.clone() }),
            _ => {}
        }
        open = code || open && line.is_empty();
        paragraph = !code && !line.trim().is_empty();
    }
    blocks
}

fn marked(line: &str) -> Option<Mark> {
    let text = line.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    let (kind, rest) = text.split_once(": ")?;
    match kind {
        "run" => Some(Mark::Run(rest.to_owned())),
        "not run" => Some(Mark::NotRun(rest.to_owned())),
        _ => None,
    }
}

#[test]
fn blocks_have_the_mark_above_them() {
    let page = "text\n\n    one\n\n    two\n\ntext\n    no code\n\n<!-- run: x -->\n\n    three\n\n<!-- not run: y -->\n\n```\nfour\n```\n";
    let found: Vec<(usize, String, Option<Mark>)> =
        blocks(page).into_iter().map(|b| (b.line, b.text.trim().to_owned(), b.mark)).collect();
    assert_eq!(
        found,
        [
            (3, "one\n\ntwo".to_owned(), None),
            (12, "three".to_owned(), Some(Mark::Run("x".into()))),
            (17, "four".to_owned(), Some(Mark::NotRun("y".into()))),
        ]
    );
}
