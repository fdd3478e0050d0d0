//! Words of a caption as Python and fastText count them.

/// The words of Python's `str.split()`: its white space has the four separators 0x1c to 0x1f, which
/// Unicode's has not.
pub(crate) fn python_words(text: &str) -> impl Iterator<Item = &str> {
    let space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    text.split(space).filter(|word| !word.is_empty())
}

/// The number of tokens of `fasttext.tokenize(text)`: words between its white space (ASCII's, and
/// zero bytes), and one for the end of each line.
pub(crate) fn fasttext_tokens(text: &str) -> usize {
    let space = |b: &u8| matches!(b, b' ' | b'\n' | b'\r' | b'\t' | 0x0b | 0x0c | 0);
    let bytes = text.as_bytes();
    let words = bytes.split(space).filter(|word| !word.is_empty()).count();
    words + text.matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_pythons() {
        // `len(text.split())` of Python 3.11.
        for (text, words) in [
            ("", 0),
            ("  a  photo\tof\na dog ", 5),
            ("a\u{1c}b\u{1f}c", 3),
            ("a\u{a0}b\u{85}c\u{3000}d\u{2028}e", 5),
            ("a\u{200b}b\u{feff}c", 1),
        ] {
            assert_eq!(python_words(text).count(), words, "{text:?}");
        }
    }

    #[test]
    fn tokens_are_fasttexts() {
        // `len(fasttext.tokenize(text))` of fasttext-wheel 0.9.2.
        for (text, tokens) in [
            ("", 0),
            ("one", 1),
            ("a photo of a dog", 5),
            ("a\nb", 3),
            ("a\n\n", 3),
            ("a\u{a0}b", 1),
            ("a\u{b}b\u{c}c\rd", 4),
        ] {
            assert_eq!(fasttext_tokens(text), tokens, "{text:?}");
        }
    }
}
