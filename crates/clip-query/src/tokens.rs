//! A text as tokens, so that "contains the words" is "contains the tokens in a row".

use crate::chars::{extends, in_word, joins, stacks, unspaced};
use crate::hash;
use crate::match_options::{MatchOptions, Rules};

/// A token: its bytes in the spaced text, its characters in the original.
#[derive(Debug, Clone, Copy)]
struct Token {
    start: u32,
    end: u32,
    from: u32,
    to: u32,
    hash: u64,
}

/// The tokens of one text after another; its memory is used again.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// The tokens with one space between them.
    text: Vec<u8>,
    spans: Vec<Token>,
    open: Option<(u32, u32)>,
}

impl Tokens {
    /// Takes a text apart; returns the number of tokens.
    pub(crate) fn fill(&mut self, text: &str, options: MatchOptions) -> usize {
        self.text.clear();
        self.spans.clear();
        self.open = None;
        match options.rules {
            Rules::Words => self.words(text, options.ignore_case),
            Rules::Metaclip => self.metaclip(text, options.ignore_case),
        }
        self.spans.len()
    }

    /// The tokens of a query. MetaCLIP's queries are not spaced as captions are: only spaces divide
    /// them.
    pub(crate) fn fill_query(&mut self, text: &str, options: MatchOptions) -> usize {
        if options.rules == Rules::Words {
            return self.fill(text, options);
        }
        self.text.clear();
        self.spans.clear();
        let mut at = 0;
        for token in text.split(' ') {
            self.begin(at);
            token.chars().for_each(|c| self.push(c, options.ignore_case));
            at += token.chars().count() as u32 + 1;
            self.end(at - 1);
        }
        self.spans.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(crate) fn hash(&self, at: usize) -> u64 {
        self.spans[at].hash
    }

    /// From which character of the original to which the tokens reach.
    pub(crate) fn span(&self, first: usize, last: usize) -> (u32, u32) {
        (self.spans[first].from, self.spans[last].to)
    }

    /// The spaced text from one token to another.
    pub(crate) fn slice(&self, first: usize, last: usize) -> &[u8] {
        &self.text[self.spans[first].start as usize..self.spans[last].end as usize]
    }

    fn begin(&mut self, from: u32) {
        if !self.spans.is_empty() {
            self.text.push(b' ');
        }
        self.open = Some((self.text.len() as u32, from));
    }

    fn end(&mut self, to: u32) {
        if let Some((start, from)) = self.open.take() {
            let end = self.text.len() as u32;
            let hash = hash::word(&self.text[start as usize..]);
            self.spans.push(Token { start, end, from, to, hash });
        }
    }

    fn push(&mut self, c: char, ignore_case: bool) {
        if c.is_ascii() {
            let byte = c as u8;
            self.text.push(if ignore_case { byte.to_ascii_lowercase() } else { byte });
        } else {
            let mut bytes = [0; 4];
            let mut put = |c: char| self.text.extend(c.encode_utf8(&mut bytes).as_bytes());
            if ignore_case { c.to_lowercase().for_each(&mut put) } else { put(c) }
        }
    }

    /// Words are tokens; so is every mark but apostrophes and hyphens inside words, and every
    /// character, with its vowel signs, of a script that writes no spaces.
    fn words(&mut self, text: &str, ignore_case: bool) {
        let mut chars = text.chars().peekable();
        let mut at = 0;
        // Whether the open token is a word, and whether it is a character that may still grow.
        let (mut word, mut grows, mut stacked) = (false, false, false);
        while let Some(c) = chars.next() {
            let next_in_word =
                |next: Option<&char>| next.is_some_and(|&c| in_word(c) && !unspaced(c));
            if c == ' ' || c == '_' || (!c.is_ascii_graphic() && c.is_whitespace()) {
                self.end(at);
                (word, grows) = (false, false);
            } else if c.is_ascii_alphanumeric() || (in_word(c) && !unspaced(c)) {
                if !word {
                    self.end(at);
                    self.begin(at);
                    (word, grows) = (true, false);
                }
                self.push(c, ignore_case);
            } else if word && joins(c) && next_in_word(chars.peek()) {
                self.push(if c == '\u{2019}' { '\'' } else { c }, ignore_case);
            } else if grows && unspaced(c) && (stacked || extends(c)) {
                self.push(c, ignore_case);
                stacked = stacks(c);
            } else {
                self.end(at);
                self.begin(at);
                self.push(if c == '\u{2019}' { '\'' } else { c }, ignore_case);
                (word, grows, stacked) = (false, unspaced(c), false);
                if !grows {
                    self.end(at + 1);
                }
            }
            at += 1;
        }
        self.end(at);
    }

    /// MetaCLIP's `spacing()`, split at each space: seven marks stand alone, white space is not
    /// folded, so that two spaces have an empty token between them.
    fn metaclip(&mut self, text: &str, ignore_case: bool) {
        let mut at = 0;
        self.begin(0);
        for c in text.chars() {
            match c {
                ',' | '.' | ';' | ':' | '?' | '!' | '`' => {
                    self.end(at);
                    self.begin(at);
                    self.push(c, false);
                    self.end(at + 1);
                    self.begin(at + 1);
                }
                ' ' | '\t' | '\n' | '\r' => {
                    self.end(at);
                    self.begin(at + 1);
                }
                c => self.push(c, ignore_case),
            }
            at += 1;
        }
        self.end(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str, rules: Rules) -> Vec<String> {
        let mut tokens = Tokens::default();
        let options = MatchOptions { rules, ignore_case: true };
        let count = tokens.fill(text, options);
        (0..count).map(|at| String::from_utf8(tokens.slice(at, at).to_vec()).unwrap()).collect()
    }

    #[test]
    fn words_marks_and_characters_stand_alone() {
        for (text, expected) in [
            ("A Red  Apple, fresh", &["a", "red", "apple", ",", "fresh"][..]),
            (
                "St. Louis’s co-op 'x' - y",
                &["st", ".", "louis's", "co-op", "'", "x", "'", "-", "y"],
            ),
            ("買iPhone手机", &["買", "iphone", "手", "机"]),
            ("ที่กิน", &["ที่", "กิ", "น"]),
            ("ខ្មែរ", &["ខ្មែ", "រ"]),
            ("red_apple🍎🍎", &["red", "apple", "🍎", "🍎"]),
            (" \u{3000}\t", &[]),
        ] {
            assert_eq!(tokens(text, Rules::Words), expected, "{text}");
        }
    }

    #[test]
    fn metaclips_spaces_are_not_folded() {
        assert_eq!(tokens("a, b  c", Rules::Metaclip), ["a", ",", "", "b", "", "c"]);
        assert_eq!(tokens("(a)\tb.", Rules::Metaclip), ["(a)", "b", ".", ""]);
        assert_eq!(tokens("", Rules::Metaclip), [""]);
    }
}
