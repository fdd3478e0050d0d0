//! Cleaning captions as OpenAI's tokenizer does.

use crate::fix_text::{fix_text, unescape};

/// Fixes broken text, unescapes HTML twice, folds white space.
pub fn clean(text: &str) -> String {
    let fixed = fix_text(text);
    if fixed.contains('&') { fold(&unescape(&unescape(&fixed))) } else { fold(&fixed) }
}

/// Words apart by one space each. White space is what Python takes for it.
fn fold(text: &str) -> String {
    let space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    let mut folded = String::with_capacity(text.len());
    for word in text.split(space).filter(|word| !word.is_empty()) {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_folded_and_entities_are_read_twice() {
        for (text, wanted) in [
            ("  a\u{0} b\tc\n\u{a0}d\u{3000} ", "a b c d"),
            ("fish &amp;amp;amp; chips &lt;3", "fish & chips <3"),
            ("<i>1 &amp;lt; 2", "<i>1 < 2"),
            ("a&#x1c;b &nbsp c", "ab c"),
        ] {
            assert_eq!(clean(text), wanted);
        }
    }
}
