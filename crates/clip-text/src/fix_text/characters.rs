//! Characters that stand for plainer ones.

use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

use super::encodings::cp1252;

/// Colours and the like of terminals.
#[expect(clippy::expect_used, reason = "a constant pattern, used by every test")]
static TERMINAL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\x1b\[[\d;]*[a-zA-Z]").expect("the pattern is valid"));

/// C1 controls as Windows-1252 has them, ligatures, full-width forms, curly quotes, line breaks,
/// terminal escapes, control characters.
pub(super) fn simplify(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    let mut controls = false;
    while let Some(c) = characters.next() {
        match c {
            ' '..='~' | '\n' | '\t' => out.push(c),
            '\r' => {
                if characters.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            '\u{80}'..='\u{9f}' => simplify_char(cp1252(c as u8), &mut out),
            _ => {
                controls |= is_control(c);
                simplify_char(c, &mut out);
            }
        }
    }
    if controls {
        if out.contains('\u{1b}') {
            out = TERMINAL.replace_all(&out, "").into_owned();
        }
        out.retain(|c| !is_control(c));
    }
    out
}

/// Control characters that are no white space, and others that no text needs.
fn is_control(c: char) -> bool {
    matches!(c, '\u{0}'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}')
        || matches!(c, '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}')
}

fn simplify_char(c: char, out: &mut String) {
    match c {
        '\u{2018}'..='\u{201b}' | '\u{2bc}' => out.push('\''),
        '\u{201c}'..='\u{201f}' => out.push('"'),
        'ŉ' => out.push_str("'n"),
        '\u{fb05}' => out.push_str("\u{17f}t"),
        // Ligatures and digraphs of Latin letters.
        '\u{fb00}'..='\u{fb04}'
        | '\u{fb06}'
        | 'Ĳ'
        | 'ĳ'
        | '\u{1c4}'..='\u{1cc}'
        | '\u{1f1}'..='\u{1f3}' => {
            out.extend(std::iter::once(c).nfkc());
        }
        '\u{3000}' => out.push(' '),
        // Full-width and half-width forms.
        '\u{ff01}'..='\u{ffef}' => out.extend(std::iter::once(c).nfkc()),
        '\u{2028}' | '\u{2029}' | '\u{85}' => out.push('\n'),
        _ => out.push(c),
    }
}
