//! Juxtapositions of characters that hardly occur but where UTF-8 was misread (after ftfy 6.3's
//! heuristic).

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::classes::*;

/// Alternatives, with names of character classes in braces.
const RULES: [&str; 37] = [
    "[{c1}]",
    "[{bad}{lower}{upper}{box}{start}{end}{currency}{numeric}{law}][{bad}]",
    "[a-zA-Z][{lower_common}{upper_common}][{bad}]",
    "[{bad}][{lower}{upper}{box}{start}{end}{currency}{numeric}{law}]",
    "[{lower}{lower_common}{box}{end}{currency}{numeric}][{upper}]",
    "[{box}{end}{currency}{numeric}][{lower}]",
    "[{lower}{box}{end}][{currency}]",
    "{space}[{upper}][{currency}]",
    "[{upper}{box}][{numeric}{law}]",
    "[{lower}{upper}{box}{currency}{end}][{start}][{numeric}]",
    "[{lower}{upper}{currency}{numeric}{box}{law}][{end}][{start}]",
    "[{currency}{numeric}{box}][{start}]",
    "[a-z][{upper}][{start}{currency}]",
    "[{box}][{kaomoji}]",
    "[{lower}{upper}{currency}{numeric}{start}{end}{law}][{box}]",
    "[{box}][{end}]",
    r"[{lower}{upper}][{start}{end}][\p{L}\p{N}_]",
    "[Œœ][^A-Za-z]",
    "[{upper}]°",
    // Windows-1252, two characters.
    "[ÂÃÎÐ][€œŠš¢£Ÿž\u{a0}\u{ad}®©°·»{start}{end}–—´]",
    "×[²³]",
    // Arabic in Windows-1252: its words have common characters, so that four are asked for.
    "[ØÙ][{common}{currency}{bad}{numeric}{start}ŸŠ®°µ»][ØÙ][{common}{currency}{bad}{numeric}{start}ŸŠ®°µ»]",
    // South Asian scripts in Windows-1252.
    "à[²µ¹¼½¾]",
    // Mac OS Roman.
    "√[±∂†≠®™´≤≥¥µø]",
    "≈[°¢]",
    "‚Ä[ìîïòôúùû†°¢π]",
    "‚[âó][àä°ê]",
    // Windows-1251: general punctuation, Latin-1 and Cyrillic letters.
    "вЂ",
    "[ВГРС][{c1}{bad}{start}{end}{currency}°µ][ВГРС]",
    "ГўВЂВ.[A-Za-z ]",
    // Windows-1252: à, á and the no-break space.
    "Ã[\u{a0}¡]",
    "[a-z]{space}?[ÃÂ] ",
    "^[ÃÂ] ",
    "[a-z.,?!{end}]Â[ {start}{end}]",
    // Windows-1253: general punctuation, Latin-1 and Greek letters.
    "β€[™\u{a0}Ά\u{ad}®°]",
    "[ΒΓΞΟ][{c1}{bad}{start}{end}{currency}°][ΒΓΞΟ]",
    // Windows-1257: general punctuation.
    "ā€",
];

/// Python's idea of white space.
const SPACE: &str = r"[\s\x1c-\x1f]";

static SUSPICIOUS: LazyLock<Regex> = LazyLock::new(|| {
    let classes = [
        ("{c1}", C1),
        ("{bad}", BAD),
        ("{law}", LAW),
        ("{currency}", CURRENCY),
        ("{start}", START_PUNCTUATION),
        ("{end}", END_PUNCTUATION),
        ("{numeric}", NUMERIC),
        ("{kaomoji}", KAOMOJI),
        ("{upper}", UPPER_ACCENTED),
        ("{lower}", LOWER_ACCENTED),
        ("{upper_common}", UPPER_COMMON),
        ("{lower_common}", LOWER_COMMON),
        ("{common}", COMMON),
        ("{box}", BOX),
        ("{space}", SPACE),
    ];
    let rules = RULES.join("|");
    let whole = classes.iter().fold(rules, |rules, (name, class)| rules.replace(name, class));
    #[expect(clippy::expect_used, reason = "a constant pattern, used by every test")]
    Regex::new(&whole).expect("the pattern is valid")
});

/// Whether a text seems to hold misread UTF-8.
pub(super) fn is_suspicious(text: &str) -> bool {
    SUSPICIOUS.is_match(text)
}

/// What follows a first byte: (its class, continuations).
static SEQUENCES: LazyLock<[(Vec<char>, usize); 3]> = LazyLock::new(|| {
    [(members(FIRST_OF_2), 1), (members(FIRST_OF_3), 2), (members(FIRST_OF_4), 3)]
});
static CONTINUATION: LazyLock<Vec<char>> = LazyLock::new(|| members(CONTINUATION_CLASS));
static STRICT: LazyLock<Vec<char>> = LazyLock::new(|| members(CONTINUATION_STRICT));

/// The characters of a class, sorted.
fn members(class: &str) -> Vec<char> {
    let letters: Vec<char> = class.chars().collect();
    let mut members = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        if letters.get(at + 1) == Some(&'-') && at + 2 < letters.len() {
            members.extend(letters[at]..=letters[at + 2]);
            at += 3;
        } else {
            members.push(letters[at]);
            at += 1;
        }
    }
    members.sort_unstable();
    members
}

/// Runs of characters that look like misread UTF-8 by themselves, as byte ranges. None begins right
/// after a continuation: to fix a few characters within a large garble makes it worse.
pub(super) fn garbled_parts(text: &str) -> Vec<Range<usize>> {
    let has = |class: &[char], c: char| class.binary_search(&c).is_ok();
    let letters: Vec<(usize, char)> = text.char_indices().collect();
    let byte = |at: usize| letters.get(at).map_or(text.len(), |(byte, _)| *byte);
    let sequence = |at: usize| {
        let (_, first) = letters.get(at)?;
        SEQUENCES.iter().find_map(|(class, length)| {
            let rest = letters.get(at + 1..at + 1 + length)?;
            let fits = has(class, *first) && rest.iter().all(|(_, c)| has(&CONTINUATION, *c));
            fits.then_some(at + 1 + length)
        })
    };
    let mut parts = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let after_continuation = at > 0 && has(&STRICT, letters[at - 1].1);
        let mut end = at;
        while let Some(next) = sequence(end).filter(|_| !after_continuation) {
            end = next;
        }
        if end > at {
            parts.push(byte(at)..byte(end));
            at = end;
        } else {
            at += 1;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misread_text_is_suspicious_and_good_text_is_not() {
        for text in ["schÃ¶n", "donâ€™t", "вЂ”", "a Â b", "Ð\u{9f}"] {
            assert!(is_suspicious(text), "{text}");
        }
        for text in ["schön", "don’t", "При", "Ångström ± 5 µm", "5 € ½", "日本語", "naïve café"]
        {
            assert!(!is_suspicious(text), "{text}");
        }
    }

    #[test]
    fn garbled_parts_stand_alone() {
        let text = "good é, bad Ã© and â€™";
        let parts: Vec<&str> = garbled_parts(text).into_iter().map(|part| &text[part]).collect();
        assert_eq!(parts, ["Ã©", "â€™"]);
    }
}
