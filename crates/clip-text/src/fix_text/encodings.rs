//! UTF-8 that was read in a single-byte encoding, read again.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::badness::{garbled_parts, is_suspicious};
use super::tables::TABLES;

/// Stands for the replacement character in the encodings of Windows: a byte that was lost.
const LOST: u8 = 0x1a;

struct Encoding {
    name: &'static str,
    lossy: bool,
    upper: Vec<char>,
    bytes: HashMap<char, u8>,
}

static ENCODINGS: LazyLock<Vec<Encoding>> = LazyLock::new(|| {
    let encoding = |&(name, lossy, table): &(&'static str, bool, &str)| {
        let upper: Vec<char> = table.chars().collect();
        let bytes = (0x80..=0xffu8).zip(&upper).map(|(byte, &c)| (c, byte)).collect();
        Encoding { name, lossy, upper, bytes }
    };
    TABLES.iter().map(encoding).collect()
});

impl Encoding {
    fn encode(&self, text: &str) -> Option<Vec<u8>> {
        let byte = |c: char| match c {
            '\u{fffd}' if self.lossy => Some(LOST),
            '\u{1a}' if self.lossy => None,
            '\u{0}'..='\u{7f}' => Some(c as u8),
            _ => self.bytes.get(&c).copied(),
        };
        text.chars().map(byte).collect()
    }
}

/// The character of a byte in Windows-1252; bytes without one are controls of the same number.
pub(super) fn cp1252(byte: u8) -> char {
    if byte < 0x80 { byte as char } else { ENCODINGS[1].upper[usize::from(byte) - 0x80] }
}

/// How many misreadings are undone, one after the other: each makes a text longer by half at least,
/// so that one of more has little left of what it was.
const ROUNDS: usize = 16;

/// Undoes misreadings, one after the other, until the text is not suspicious or nothing helps.
pub(super) fn undo(mut text: String) -> String {
    for _ in 0..ROUNDS {
        match undo_one(&text) {
            Some(better) if better != text => text = better,
            _ => break,
        }
    }
    text
}

fn undo_one(text: &str) -> Option<String> {
    if text.is_ascii() || !is_suspicious(text) {
        return None;
    }
    let mut latin1 = None;
    for encoding in ENCODINGS.iter() {
        let Some(bytes) = encoding.encode(text) else { continue };
        if encoding.name == "latin-1" {
            latin1 = Some(bytes.clone());
        }
        if let Some(fixed) = decode(bytes, encoding) {
            return Some(fixed);
        }
    }
    let parts = garbled_parts(text);
    if !parts.is_empty() {
        let fixed = fix_parts(text, &parts);
        if fixed != text {
            return Some(fixed);
        }
    }
    // Latin-1 with characters that are controls there: it was meant to be Windows-1252.
    let unassigned = [0x81, 0x8d, 0x8f, 0x90, 0x9d];
    if let Some(bytes) = latin1.filter(|bytes| !bytes.iter().any(|b| unassigned.contains(b))) {
        let fixed: String = bytes.iter().map(|&byte| cp1252(byte)).collect();
        if fixed != text {
            return Some(fixed);
        }
    }
    let control = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
    let plain = |c: char| if control(c) { cp1252(c as u8) } else { c };
    text.contains(control).then(|| text.chars().map(plain).collect())
}

/// Parts of a text that are garbled by themselves.
fn fix_parts(text: &str, parts: &[std::ops::Range<usize>]) -> String {
    let mut fixed = String::with_capacity(text.len());
    let mut at = 0;
    for part in parts {
        fixed.push_str(&text[at..part.start]);
        let garbled = &text[part.clone()];
        if garbled.len() < text.len() && is_suspicious(garbled) {
            fixed.push_str(&undo(garbled.to_owned()));
        } else {
            fixed.push_str(garbled);
        }
        at = part.end;
    }
    fixed.push_str(&text[at..]);
    fixed
}

#[expect(clippy::expect_used, reason = "constant patterns, used by every test")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is valid")
}

/// UTF-8 whose byte a0, a no-break space by itself, became a space.
static SPACED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?s-u)[\xc2\xc3\xc5\xce\xd0\xd9] |[\xe2\xe3] [\x80-\x84\x86-\x9f\xa1-\xbf]",
        r"|[\xe0-\xe3][\x80-\x84\x86-\x9f\xa1-\xbf] |\xf0 [\x80-\xbf][\x80-\xbf]",
        r"|\xf0[\x80-\xbf] [\x80-\xbf]|\xf0[\x80-\xbf][\x80-\xbf] "
    ))
});

/// UTF-8 with bytes that were lost.
static LOSSY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?s-u)[\xc2-\xdf]\x1a|[\xc2-\xc3]\?",
        r"|\xed[\xa0-\xaf][\x1a?]\xed[\xb0-\xbf][\x1a?\x80-\xbf]",
        r"|\xed[\xa0-\xaf][\x1a?\x80-\xbf]\xed[\xb0-\xbf][\x1a?]",
        r"|[\xe0-\xef][\x1a?][\x1a\x80-\xbf]|[\xe0-\xef][\x1a\x80-\xbf][\x1a?]",
        r"|[\xf0-\xf4][\x1a?][\x1a\x80-\xbf][\x1a\x80-\xbf]",
        r"|[\xf0-\xf4][\x1a\x80-\xbf][\x1a?][\x1a\x80-\xbf]",
        r"|[\xf0-\xf4][\x1a\x80-\xbf][\x1a\x80-\xbf][\x1a?]|\x1a"
    ))
});

fn decode(mut bytes: Vec<u8>, encoding: &Encoding) -> Option<String> {
    // In Mac OS Roman an en dash before a space would match.
    if encoding.name != "macroman" && SPACED.is_match(&bytes) {
        let restored = restore_spaces(&bytes);
        let replace = |found: &regex::bytes::Captures| -> Vec<u8> {
            found[0].iter().map(|&b| if b == b' ' { 0xa0 } else { b }).collect()
        };
        bytes = SPACED.replace_all(&restored, replace).into_owned();
    }
    if encoding.lossy {
        bytes = LOSSY.replace_all(&bytes, "\u{fffd}".as_bytes()).into_owned();
    }
    if bytes.contains(&0xed) || bytes.contains(&0xc0) {
        return decode_variants(&bytes);
    }
    String::from_utf8(bytes).ok()
}

/// Most often a lone c3 before a space is "à " as a word, but not before the rest of a Portuguese
/// one.
fn restore_spaces(bytes: &[u8]) -> Vec<u8> {
    let mut restored = Vec::with_capacity(bytes.len() + 4);
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"\xc3 ") {
            let rest = &bytes[at + 2..];
            let words: [&[u8]; 5] = [b" ", b"quele", b"quela", b"quilo", b"s "];
            if !words.iter().any(|word| rest.starts_with(word)) {
                restored.extend_from_slice(b"\xc3\xa0 ");
                at += 2;
                continue;
            }
        }
        restored.push(bytes[at]);
        at += 1;
    }
    restored
}

/// UTF-8 with Java's null (c0 80) and surrogate pairs of three bytes each (CESU-8).
fn decode_variants(bytes: &[u8]) -> Option<String> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at..] {
            [0xc0, 0x80, ..] => {
                plain.push(0);
                at += 2;
            }
            [
                0xed,
                a @ 0xa0..=0xaf,
                b @ 0x80..=0xbf,
                0xed,
                c @ 0xb0..=0xbf,
                d @ 0x80..=0xbf,
                ..,
            ] => {
                let bits = |byte: u8, mask: u8, shift: u32| u32::from(byte & mask) << shift;
                let code =
                    bits(a, 0x0f, 16) + bits(b, 0x3f, 10) + bits(c, 0x0f, 6) + bits(d, 0x3f, 0);
                let c = char::from_u32(code + 0x10000)?;
                plain.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                at += 6;
            }
            _ => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_a_character_for_each_byte() {
        assert!(ENCODINGS.iter().all(|encoding| encoding.upper.len() == 128));
        assert_eq!((cp1252(0x80), cp1252(0x81), cp1252(0xe9)), ('€', '\u{81}', 'é'));
    }

    #[test]
    fn variants_of_utf8() {
        assert_eq!(decode_variants(b"a\xc0\x80b").unwrap(), "a\0b");
        assert_eq!(decode_variants(b"\xed\xa0\xbd\xed\xb8\x8d").unwrap(), "😍");
        assert_eq!(decode_variants(b"\xed\xa0\xbd"), None);
    }
}
