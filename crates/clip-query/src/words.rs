//! The words of a text.

use crate::Dictionary;
use crate::chars::{LONGEST_WORD, in_word, joins, unspaced};

/// Calls `each` for the words of a text, in order, with whether nothing but spaces is between
/// the word and the one before it.
///
/// A word is a run of letters, digits and their marks with at least one letter, with apostrophes
/// and hyphens inside it; it is given in lower case unless `keep_case`. Scripts without spaces
/// between words have those of the dictionary, and none without one.
pub fn each_word(
    text: &str,
    keep_case: bool,
    dictionary: Option<&Dictionary>,
    mut each: impl FnMut(&str, bool),
) {
    let bytes = text.as_bytes();
    let mut word = String::new();
    let (mut at, mut near) = (0, false);
    while at < bytes.len() {
        match class(text, at) {
            (Class::Space, length) => at += length,
            (Class::Unspaced, length) if dictionary.is_none() => {
                near = false;
                at += length;
            }
            (Class::Unspaced, _) => {
                let run = &text[at..];
                let run = &run[..run.find(|c| !unspaced(c)).unwrap_or(run.len())];
                at += run.len();
                for (word, known) in dictionary.into_iter().flat_map(|words| words.cut(run)) {
                    if known {
                        each(word, near);
                    }
                    near = known;
                }
            }
            (Class::Other, length) => {
                near = false;
                at += length;
            }
            (Class::Word, _) => {
                let end = end_of_word(text, at);
                let run = &text[at..end];
                at = end;
                if run.len() > LONGEST_WORD || !run.chars().any(char::is_alphabetic) {
                    near = false;
                    continue;
                }
                spell(run, keep_case, &mut word);
                each(&word, near);
                near = true;
            }
        }
    }
}

enum Class {
    Word,
    Space,
    Unspaced,
    Other,
}

fn class(text: &str, at: usize) -> (Class, usize) {
    let byte = text.as_bytes()[at];
    if byte.is_ascii() {
        let class = match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => Class::Word,
            b' ' | b'\t' => Class::Space,
            _ => Class::Other,
        };
        return (class, 1);
    }
    let Some(c) = text[at..].chars().next() else { return (Class::Other, 1) };
    let class = match c {
        _ if unspaced(c) => Class::Unspaced,
        _ if in_word(c) => Class::Word,
        '\u{2028}' | '\u{2029}' | '\u{85}' => Class::Other,
        _ if c.is_whitespace() => Class::Space,
        _ => Class::Other,
    };
    (class, c.len_utf8())
}

fn end_of_word(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = start;
    while at < bytes.len() {
        if bytes[at].is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        let Some(c) = text[at..].chars().next() else { break };
        let after = at + c.len_utf8();
        let inside = joins(c) && after < bytes.len() && matches!(class(text, after).0, Class::Word);
        if !inside && (!in_word(c) || unspaced(c)) {
            break;
        }
        at = after;
    }
    at
}

fn spell(run: &str, keep_case: bool, word: &mut String) {
    word.clear();
    if run.is_ascii() {
        word.push_str(run);
        if !keep_case {
            word.make_ascii_lowercase();
        }
        return;
    }
    for c in run.chars() {
        match c {
            '\u{2019}' => word.push('\''),
            c if keep_case => word.push(c),
            c => word.extend(c.to_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_by(text: &str, dictionary: Option<&Dictionary>) -> Vec<String> {
        let mut found = Vec::new();
        each_word(text, false, dictionary, |word, near| {
            found.push(if near { format!("+{word}") } else { word.to_owned() });
        });
        found
    }

    fn words(text: &str) -> Vec<String> {
        words_by(text, None)
    }

    #[test]
    fn scripts_without_spaces_have_the_words_of_a_dictionary() {
        let words = Dictionary::from_words([("手机", 5), ("買", 1), ("แมว", 1), ("กิน", 1)]);
        let found = words_by("買iPhone手机 手机。手机的买 แมวกินปลา", Some(&words));
        assert_eq!(found, ["買", "+iphone", "+手机", "+手机", "手机", "แมว", "+กิน"]);
    }

    #[test]
    fn words_keep_their_inner_marks_and_know_their_neighbours() {
        assert_eq!(
            words("The cat\u{2019}s hat; the  well-kept 'CAT' -- 7 mp3s"),
            ["the", "+cat's", "+hat", "the", "+well-kept", "cat", "mp3s"]
        );
        assert_eq!(words("a b\nc\td 1999 e"), ["a", "+b", "c", "+d", "e"]);
        assert_eq!(words("Ägypten éte\u{301} हिन्दी"), ["ägypten", "+éte\u{301}", "+हिन्दी"]);
        assert_eq!(words("買iPhone手机 カメラ"), ["iphone"]);
        assert_eq!(words(&"x".repeat(65)), Vec::<String>::new());
        assert_eq!(words(""), Vec::<String>::new());
    }
}
