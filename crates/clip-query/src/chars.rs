//! Which characters make words, and which scripts write no spaces between them.

/// Longest word that is counted, in bytes: what is longer are URLs and noise.
pub(crate) const LONGEST_WORD: usize = 64;

/// Letters and digits, with the marks that belong to them.
pub(crate) fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || !c.is_ascii() && (c.is_alphanumeric() || is_mark(c))
}

/// Marks that are no letters by Unicode's property Alphabetic but never stand alone: accents,
/// viramas, nuktas, points, joiners.
fn is_mark(c: char) -> bool {
    matches!(u32::from(c),
        0x0300..=0x036f | 0x0483..=0x0487 | 0x0591..=0x05af | 0x0653..=0x0655 | 0x093c | 0x094d
        | 0x0951..=0x0954 | 0x09bc | 0x09cd | 0x0a3c | 0x0a4d | 0x0abc | 0x0acd | 0x0b3c | 0x0b4d
        | 0x0bcd | 0x0c4d | 0x0cbc | 0x0ccd | 0x0d4d | 0x0dca | 0x1dc0..=0x1dff | 0x200c | 0x200d
        | 0x20d0..=0x20f0 | 0xfe20..=0xfe2f)
        || extends(c)
}

/// Scripts that are written without spaces between words: Chinese, Japanese kana, Thai, Lao, Khmer,
/// Burmese, Tibetan.
pub(crate) fn unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff | 0x0f00..=0x0fff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3005..=0x3007
        | 0x3040..=0x30ff | 0x31f0..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff
        | 0xff66..=0xff9f | 0x20000..=0x3134f)
}

/// Vowel signs, tones and the like of those scripts: they belong to the character before them.
pub(crate) fn extends(c: char) -> bool {
    matches!(u32::from(c),
        0x0e31 | 0x0e33..=0x0e3a | 0x0e47..=0x0e4e | 0x0eb1 | 0x0eb3..=0x0ebc | 0x0ec8..=0x0ece
        | 0x0f18 | 0x0f19 | 0x0f35 | 0x0f37 | 0x0f39 | 0x0f3e | 0x0f3f | 0x0f71..=0x0f84 | 0x0f86
        | 0x0f87 | 0x0f8d..=0x0fbc | 0x0fc6 | 0x102b..=0x103e | 0x1056..=0x1059 | 0x105e..=0x1060
        | 0x1062..=0x1064 | 0x1067..=0x106d | 0x1071..=0x1074 | 0x1082..=0x108d | 0x108f
        | 0x109a..=0x109d | 0x17b4..=0x17d3 | 0x17dd | 0x3099 | 0x309a)
}

/// Bytes of the first character of a text in such a script, with its signs.
pub(crate) fn cluster(text: &str) -> usize {
    let mut stacked = false;
    for (at, c) in text.char_indices().skip(1) {
        if !unspaced(c) || !(stacked || extends(c)) {
            return at;
        }
        stacked = stacks(c);
    }
    text.len()
}

/// Signs that also bind the character after them: the stackers of Burmese and Khmer.
pub(crate) fn stacks(c: char) -> bool {
    matches!(c, '\u{1039}' | '\u{17d2}')
}

/// An apostrophe or a hyphen: part of a word inside it, a mark elsewhere.
pub(crate) fn joins(c: char) -> bool {
    matches!(c, '\'' | '-' | '\u{2019}')
}
