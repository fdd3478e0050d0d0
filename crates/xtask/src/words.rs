//! Words that the field has better ones for, in comments and documentation, and comments that are too wide.

/// What is not written, and what is written in its place.
const WORDS: [(&str, &str); 9] = [
    ("picture", "image"),
    ("pictures", "images"),
    ("under way", "in flight"),
    ("passed over", "skipped"),
    ("held against", "checked against"),
    ("mend", "fix"),
    ("mended", "fixed"),
    ("manners", "politeness"),
    ("gone on with", "resumed"),
];

/// Where a word is another's: HTML's `<picture>`, captions of the test site, other programs' results.
const EXCEPT: [&str; 5] = [
    "crates/clip-crawl/src/html/",
    "crates/clip-testkit/",
    "crates/xtask/src/words.rs",
    "docs/oracles.md",
    "testdata/",
];

/// Columns of a comment.
const WIDTH: usize = 100;

/// Faults of one file: Rust sources by their comments, Markdown by its prose.
pub fn faults_of(file: &str, text: &str) -> Vec<String> {
    let rust = file.ends_with(".rs");
    if !(rust || file.ends_with(".md")) || EXCEPT.iter().any(|place| file.starts_with(place)) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let place = || format!("{file}:{}", index + 1);
        let prose = if rust { comment(line) } else { Some(line) };
        let Some(prose) = prose else { continue };
        let plain = without_code(prose).to_lowercase();
        for (word, better) in WORDS {
            if has(&plain, word) {
                faults.push(format!("{}: {word:?}: write {better:?}", place()));
            }
        }
        if rust && line.trim_start().starts_with("//") && line.chars().count() > WIDTH {
            faults.push(format!("{}: a comment of more than {WIDTH} columns", place()));
        }
    }
    faults
}

/// The comment of a line, if it has one; a `//` within a string is none.
fn comment(line: &str) -> Option<&str> {
    let at = line.find("//")?;
    let before = &line[..at];
    let begins = before.is_empty() || before.ends_with(char::is_whitespace);
    (begins && before.matches('"').count().is_multiple_of(2)).then(|| &line[at..])
}

/// A line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

fn has(text: &str, word: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(letter) && !text[at + word.len()..].starts_with(letter)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_wide_comments_are_faults_of_comments_and_prose_only() {
        let found = |file: &str, text: &str| faults_of(file, text).len();
        assert_eq!(found("crates/a.rs", "/// A picture.\nlet picture = 1;"), 1);
        assert_eq!(found("crates/a.rs", "let text = \"a // picture\";"), 0);
        assert_eq!(found("docs/a.md", "Pictures, and `pictures/`; it was passed over."), 2);
        assert_eq!(found("docs/a.md", "amend a commendable depicture"), 0);
        let wide = format!("    // {}", "x".repeat(WIDTH));
        assert_eq!(found("crates/a.rs", &wide), 1);
        assert_eq!(found("crates/a.rs", &format!("    let a = \"{}\";", "x".repeat(WIDTH))), 0);
    }
}
