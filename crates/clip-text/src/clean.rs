//! Mending captions: what OpenAI's tokenizer does with ftfy and HTML, for the faults that occur in captions.

use unicode_normalization::UnicodeNormalization;

/// Mends broken text, unescapes HTML twice, folds white space.
///
/// Of ftfy's rules these are applied: UTF-8 read as Windows-1252 or Latin-1, C1 controls, Latin ligatures,
/// full-width letters, curly quotes, line breaks, control characters, NFC.
pub fn clean(text: &str) -> String {
    let text = mend(text);
    let once = html_escape::decode_html_entities(&text);
    let twice = html_escape::decode_html_entities(&once);
    let mut folded = String::with_capacity(twice.len());
    for word in twice.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    folded
}

fn mend(text: &str) -> String {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) && !text.contains('&') {
        return text.to_owned();
    }
    let mut text = if text.contains('<') {
        text.to_owned()
    } else {
        html_escape::decode_html_entities(text).into_owned()
    };
    // Text may have been misread more than once.
    for _ in 0..3 {
        match unmisread(&text) {
            Some(better) => text = better,
            None => break,
        }
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        simplify(c, &mut plain);
    }
    plain.nfc().collect()
}

/// Appends the plain form of a character.
fn simplify(c: char, out: &mut String) {
    match c {
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' | '\u{02bc}' => out.push('\''),
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{201f}' => out.push('"'),
        '\u{fb00}' => out.push_str("ff"),
        '\u{fb01}' => out.push_str("fi"),
        '\u{fb02}' => out.push_str("fl"),
        '\u{fb03}' => out.push_str("ffi"),
        '\u{fb04}' => out.push_str("ffl"),
        '\u{fb05}' => out.push_str("\u{17f}t"),
        '\u{fb06}' => out.push_str("st"),
        '\u{0132}' => out.push_str("IJ"),
        '\u{0133}' => out.push_str("ij"),
        '\u{01c4}'..='\u{01cc}' | '\u{01f1}'..='\u{01f3}' => out.extend(std::iter::once(c).nfkc()),
        // Full-width and half-width forms, and the ideographic space.
        '\u{ff01}'..='\u{ffef}' | '\u{3000}' => out.extend(std::iter::once(c).nfkc()),
        '\u{2028}' | '\u{2029}' | '\u{85}' | '\r' => out.push('\n'),
        '\u{0}'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' => {}
        '\u{80}'..='\u{9f}' => out.push(cp1252_char(c as u8)),
        '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}' => {}
        _ => out.push(c),
    }
}

/// The text with every UTF-8 sequence that was read as Windows-1252 read again, if there is one.
fn unmisread(text: &str) -> Option<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut better = String::with_capacity(text.len());
    let mut at = 0;
    let mut found = false;
    while at < letters.len() {
        if let Some((c, length)) = misread_char(&letters[at..]) {
            better.push(c);
            at += length;
            found = true;
        } else {
            better.push(letters[at]);
            at += 1;
        }
    }
    found.then_some(better)
}

/// The character whose bytes stand at the front as characters of their own, and how many they are.
fn misread_char(letters: &[char]) -> Option<(char, usize)> {
    let length = match letters.first()? {
        '\u{c2}'..='\u{df}' => 2,
        '\u{e0}'..='\u{ef}' => 3,
        '\u{f0}'..='\u{f4}' => 4,
        _ => return None,
    };
    let bytes: Option<Vec<u8>> = letters.get(..length)?.iter().map(|&c| cp1252_byte(c)).collect();
    let bytes = bytes?;
    Some((std::str::from_utf8(&bytes).ok()?.chars().next()?, length))
}

const CP1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

fn cp1252_char(byte: u8) -> char {
    if (0x80..=0x9f).contains(&byte) { CP1252[byte as usize - 0x80] } else { byte as char }
}

fn cp1252_byte(c: char) -> Option<u8> {
    match u32::from(c) {
        code @ 0..=0xff => Some(code as u8),
        _ => CP1252.iter().position(|&special| special == c).map(|at| at as u8 + 0x80),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_text_is_mended_as_ftfy_does() {
        for (broken, mended) in [
            ("âœ” No problems", "✔ No problems"),
            ("schÃ¶n", "schön"),
            ("l\u{2019}humanitÃ©", "l'humanité"),
            ("\u{201c}quoted\u{201d} \u{fb01}le", "\"quoted\" file"),
            ("ＬＯＵＤ　ＮＯＩＳＥＳ", "LOUD NOISES"),
            ("a\u{0} b\tc\n d", "a b c d"),
            ("cafe\u{301}", "café"),
            ("fish &amp;amp; chips &lt;3", "fish & chips <3"),
            ("plain ascii", "plain ascii"),
            ("Ünïcode stays", "Ünïcode stays"),
        ] {
            assert_eq!(clean(broken), mended);
        }
    }
}
