//! HTML's named and numbered characters (HTML Standard, sections 13.2.5.72 to 13.2.5.80 and 13.5).

use std::collections::HashMap;
use std::sync::LazyLock;

use super::encodings::cp1252;

/// A line each: the name (with its semicolon where it needs one), a tab, and the code points.
const NAMES: &str = include_str!("../../data/entities.txt");

/// Longest name.
const LONGEST: usize = 32;
/// Longest name or number in ftfy's pattern, and with its `#`.
const LONGEST_NAME: usize = 24;
const LONGEST_WHOLE: usize = LONGEST_NAME + 1;

static ENTITIES: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    let mut entities = HashMap::new();
    for line in NAMES.lines() {
        let Some((name, codes)) = line.split_once('\t') else { continue };
        let code = |code: &str| u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
        entities.insert(name, codes.split(' ').filter_map(code).collect());
    }
    entities
});

/// What a name without its semicolon stands for; `strict` says whether it had one.
fn named(name: &str, semicolon: bool) -> Option<&'static str> {
    let found = ENTITIES.get(name);
    let found = found.or_else(|| if semicolon { ENTITIES.get(&*format!("{name};")) } else { None });
    found.map(String::as_str)
}

/// What a number stands for: browsers' replacements, and nothing for what is no character.
fn numbered(code: Option<u32>) -> Option<char> {
    match code {
        Some(0) => Some('\u{fffd}'),
        Some(0x0d) => Some('\r'),
        Some(byte @ 0x80..=0x9f) => Some(cp1252(byte as u8)),
        Some(0x1..=0x8 | 0xb | 0xe..=0x1f | 0x7f | 0xfdd0..=0xfdef) => None,
        Some(code) if code & 0xfffe == 0xfffe && code <= 0x10_ffff => None,
        code => Some(code.and_then(char::from_u32).unwrap_or('\u{fffd}')),
    }
}

/// The number after `&#`, and how many bytes it takes. A number beyond all is none.
fn number(text: &str) -> Option<(Option<u32>, usize)> {
    let (digits, radix, skipped) = match text.as_bytes().first()? {
        b'x' | b'X' => (&text[1..], 16, 1),
        _ => (text, 10, 0),
    };
    let length = digits.bytes().take_while(|byte| char::from(*byte).is_digit(radix)).count();
    if length == 0 {
        return None;
    }
    let value = u32::from_str_radix(digits[..length].trim_start_matches('0'), radix);
    let value = if digits[..length].bytes().all(|byte| byte == b'0') { Ok(0) } else { value };
    Some((value.ok(), skipped + length))
}

/// All entities, also without their semicolon, as Python's `html.unescape` reads them.
pub(crate) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(numeral) = rest.strip_prefix('#') {
            let Some((code, length)) = number(numeral) else {
                out.push('&');
                continue;
            };
            out.extend(numbered(code));
            rest = numeral[length..].strip_prefix(';').unwrap_or(&numeral[length..]);
            continue;
        }
        let end = |c: char| matches!(c, '\t' | '\n' | '\u{c}' | ' ' | '<' | '&' | '#' | ';');
        let mut name = &rest[..rest.find(end).unwrap_or(rest.len())];
        if let Some((beyond, _)) = name.char_indices().nth(LONGEST) {
            name = &name[..beyond];
        }
        let semicolon = rest[name.len()..].starts_with(';');
        if let Some(found) = named(name, semicolon) {
            out.push_str(found);
            rest = &rest[name.len() + usize::from(semicolon)..];
            continue;
        }
        // The longest beginning that is a name by itself.
        let beginnings = name.char_indices().map(|(at, _)| at).rev().filter(|&at| at > 1);
        let beginning =
            beginnings.map(|at| &name[..at]).find_map(|part| Some((part, named(part, false)?)));
        match beginning {
            Some((part, found)) => {
                out.push_str(found);
                rest = &rest[part.len()..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    out
}

/// Only entities that are whole, and names in capitals whose small form is known (ftfy's reading).
pub(super) fn unescape_whole(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // No further than a name is long: text of nothing but `&` must not be searched for each of
        // them.
        let bytes = rest.bytes().skip(1).take(LONGEST_WHOLE + 1);
        let name = bytes.enumerate().find(|(_, b)| *b == b';').map(|(at, _)| &rest[1..=at]);
        match name.and_then(whole) {
            Some((found, length)) => {
                out.push_str(&found);
                rest = &rest[length + 2..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// What is between `&` and `;`, and its length.
fn whole(name: &str) -> Option<(String, usize)> {
    let bare = name.strip_prefix('#').unwrap_or(name);
    if bare.is_empty()
        || bare.len() > LONGEST_NAME
        || !bare.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        return None;
    }
    if let Some(numeral) = name.strip_prefix('#') {
        let (code, length) = number(numeral)?;
        // A semicolon of its own would be left over.
        return (length == numeral.len() && code != Some(0x3b))
            .then(|| (numbered(code).map_or_else(String::new, String::from), name.len()));
    }
    if let Some(found) = named(name, true) {
        return Some((found.to_owned(), name.len()));
    }
    let small = name.to_ascii_lowercase();
    let capitals = small != name && small.to_ascii_uppercase() == name;
    // A name of which a beginning is one already is read as that.
    let begun = || (2..name.len()).any(|at| named(&name[..at], false).is_some());
    if !capitals || begun() {
        return None;
    }
    named(&small, true).map(|found| (found.to_uppercase(), name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_read_as_python_reads_them() {
        for (text, wanted) in [
            ("&lt;b&gt; &amp;amp; &notit; &nosuch; &", "<b> &amp; ¬it; &nosuch; &"),
            (
                "&#65;&#x42;&#X43 &#0; &#128; &#x81; &#xD800; &#99999999999; &#1; &#;",
                "ABC \u{fffd} € \u{81} \u{fffd} \u{fffd}  &#;",
            ),
            ("&ampamp &acE; &NotEqualTilde;", "&amp \u{223e}\u{333} ≂\u{338}"),
            ("AT&T R&D &é&lt", "AT&T R&D &é<"),
        ] {
            assert_eq!(unescape(text), wanted);
        }
    }

    #[test]
    fn only_whole_entities_are_read_as_ftfy_reads_them() {
        for (text, wanted) in [
            ("&lt;tag&gt; this&not that", "<tag> this&not that"),
            ("P&EACUTE;REZ BUNDESSTRA&SZLIG;E", "PÉREZ BUNDESSTRASSE"),
            ("&ntilde; &Ntilde; &NTILDE; &nTILDE;", "ñ Ñ Ñ &nTILDE;"),
            ("&Jscr;ohn &#x41;&#59;", "𝒥ohn A&#59;"),
        ] {
            assert_eq!(unescape_whole(text), wanted);
        }
    }
}
