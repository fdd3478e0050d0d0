//! Fixing text as ftfy 6.3 does (Robyn Speer, Apache-2.0): HTML entities, UTF-8 that was read in
//! another encoding, and characters that stand for plainer ones. OpenAI's tokenizer begins with it,
//! so equal ids need equal fixing.

mod badness;
mod characters;
mod classes;
mod encodings;
mod entities;
mod tables;

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

pub(crate) use entities::unescape;

/// Fixes a text line by line until nothing changes.
pub(crate) fn fix_text(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut escaped = true;
    for line in text.split_inclusive('\n') {
        // A tag speaks for markup, in which entities are meant; it counts for all lines after it.
        escaped &= !line.contains('<');
        out.push_str(&fix_line(line.to_owned(), escaped));
    }
    Cow::Owned(out)
}

/// Text that no rule touches: printable ASCII without an entity.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'&')
}

/// How often what was fixed is fixed again: `&amp;amp;amp;…` loses one `amp;` each time, and
/// people's text has one to three.
const ROUNDS: usize = 32;

fn fix_line(mut text: String, escaped: bool) -> String {
    for _ in 0..ROUNDS {
        let before = text.clone();
        if escaped && text.contains('&') {
            text = entities::unescape_whole(&text);
        }
        if !text.is_ascii() {
            text = encodings::undo(text);
        }
        text = characters::simplify(&text);
        if is_nfc_quick(text.chars()) != IsNormalized::Yes {
            text = text.nfc().collect();
        }
        if text == before {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes to hours if any step's time grew with the square of the length.
    #[test]
    fn long_runs_of_anything_take_linear_time() {
        for unit in [
            "&", "&a", "&#", "&#x", "&#1", "&amp", "amp;", "&lt;", "<", ";", "(", " ", "1", "a",
            "\r", "\u{1b}[", "Ã", "Ã ", "Ã©", "Â", "â€", "\u{fffd}", "\u{80}", "\u{301}",
            "e\u{301}", "\u{3000}", "Σ", "ﬁ", "é", "中",
        ] {
            let text = unit.repeat(2_000_000 / unit.len());
            assert!(crate::clean(&text).len() <= 2 * text.len(), "{unit:?}");
            let text = format!("&{text}Ã©");
            assert!(crate::clean(&text).len() <= 2 * text.len(), "&{unit:?}…");
        }
    }

    #[test]
    fn entities_within_entities_are_read_to_a_documented_depth() {
        let nested = |depth: usize| format!("a &{}lt; b", "amp;".repeat(depth));
        assert_eq!(fix_text(&nested(20)), "a < b");
        assert_eq!(fix_text(&nested(500_000)).len(), nested(500_000).len() - 4 * ROUNDS);
    }

    #[test]
    fn broken_text_is_fixed_as_ftfy_does() {
        for (broken, fixed) in [
            ("âœ” No problems", "✔ No problems"),
            ("schÃ¶n", "schön"),
            ("l\u{2019}humanitÃ©", "l'humanité"),
            ("Ã la mode", "à la mode"),
            ("â€œ like this â€\u{fffd}", "\" like this \u{fffd}"),
            ("Ð\u{9f}Ñ\u{80}Ð¸Ð²ÐµÑ\u{82}", "Привет"),
            ("\u{201c}quoted\u{201d} \u{fb01}le", "\"quoted\" file"),
            ("ＬＯＵＤ　ＮＯＩＳＥＳ", "LOUD NOISES"),
            ("a\u{0} b\tc\r\n d", "a b\tc\n d"),
            ("\u{1b}[36;44mblue\u{1b}[0m", "blue"),
            ("cafe\u{301}", "café"),
            ("fish &amp;amp; chips &lt;3", "fish & chips <3"),
            ("<b>fish &amp; chips", "<b>fish &amp; chips"),
            ("P&EACUTE;REZ", "PÉREZ"),
            ("plain ascii", "plain ascii"),
            ("Ünïcode stays", "Ünïcode stays"),
        ] {
            assert_eq!(fix_text(broken), fixed);
        }
    }
}
