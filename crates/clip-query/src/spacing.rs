//! Spacing: how a text is laid out so that "contains the word" is "contains the string".

use crate::matcher::Rules;

/// Writes the text with a space before and after each word and mark.
pub(crate) fn space(text: &str, rules: Rules, ignore_case: bool, out: &mut String) {
    out.clear();
    out.push(' ');
    for c in text.chars() {
        match rules {
            Rules::Metaclip => metaclip(c, out),
            Rules::Words => words(c, out),
        }
    }
    out.push(' ');
    if rules == Rules::Words {
        fold_spaces(out);
    }
    if ignore_case {
        *out = out.to_lowercase();
    }
}

/// MetaCLIP's `spacing()`: seven marks get spaces, white space becomes spaces, nothing is folded.
fn metaclip(c: char, out: &mut String) {
    match c {
        ',' | '.' | ';' | ':' | '?' | '!' | '`' => out.extend([' ', c, ' ']),
        '\t' | '\n' | '\r' => out.push(' '),
        c => out.push(c),
    }
}

/// Every mark stands alone but the apostrophe and the hyphen inside words; so does every letter of a script
/// that writes no spaces.
fn words(c: char, out: &mut String) {
    if c.is_whitespace() {
        out.push(' ');
    } else if c.is_alphanumeric() && !unspaced(c)
        || matches!(c, '\'' | '-' | '_' | '\u{300}'..='\u{36f}')
    {
        out.push(c);
    } else {
        out.extend([' ', c, ' ']);
    }
}

/// Scripts that are written without spaces between words: Chinese, Japanese kana, Thai, Lao, Khmer, Burmese,
/// Tibetan.
fn unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff | 0x0f00..=0x0fff | 0x1000..=0x109f | 0x1780..=0x17ff
        | 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3134f)
}

fn fold_spaces(text: &mut String) {
    let mut last = '\0';
    text.retain(|c| {
        let keep = c != ' ' || last != ' ';
        last = c;
        keep
    });
}
