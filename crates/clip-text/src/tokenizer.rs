//! CLIP's byte-pair tokenizer (OpenAI CLIP, `simple_tokenizer.py`): the same ids.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::io::Read;
use std::sync::LazyLock;

use regex::Regex;

use crate::clean;

const VOCABULARY: &[u8] = include_bytes!("../data/bpe_simple_vocab_16e6.txt.gz");
const MERGES: usize = 49_152 - 256 - 2;
/// Id of the token that begins a text.
const START: u32 = 49_406;
/// Id of the token that ends a text.
const END: u32 = 49_407;
/// Added to a byte's id at the end of a word.
const END_OF_WORD: u32 = 256;
/// Bytes of a word beyond which its symbols wait for their merge in a heap.
const LONG_WORD: usize = 128;
/// In the place of a symbol that merged with the one before it.
const MERGED: u32 = u32::MAX;

static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    let words = r"(?i)<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+";
    #[expect(clippy::expect_used, reason = "a constant pattern, used by every test")]
    Regex::new(words).expect("the token pattern is valid")
});

/// Turns text into token ids and back.
pub struct Tokenizer {
    /// The lowest merged id is merged first.
    merges: Merges,
    /// Words that are one token, by their bytes: no merging to be done.
    words: HashMap<Box<[u8]>, u32, BuildHasherDefault<WordHasher>>,
    /// Byte to id of its symbol.
    bytes: [u32; 256],
    /// Id to the bytes it stands for.
    pieces: Vec<Box<[u8]>>,
}

impl Default for Tokenizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Tokenizer {
    /// Tokens that there are.
    pub const VOCABULARY: usize = 49_408;

    /// Unpacks the vocabulary that is built in.
    pub fn new() -> Self {
        let order = byte_order();
        let mut bytes = [0; 256];
        for (id, &byte) in order.iter().enumerate() {
            bytes[byte as usize] = id as u32;
        }
        let mut pieces: Vec<Box<[u8]>> = order.iter().map(|&byte| [byte].into()).collect();
        pieces.extend(order.iter().map(|&byte| -> Box<[u8]> { [byte, b' '].into() }));
        let vocabulary = vocabulary();
        let mut ids = symbols(&order);
        let mut merges = Merges::new();
        let mut words = HashMap::default();
        for (rank, line) in vocabulary.lines().skip(1).take(MERGES).enumerate() {
            let Some((left, right)) = line.split_once(' ') else { continue };
            let (Some(&a), Some(&b)) = (ids.get(left), ids.get(right)) else { continue };
            let id = 512 + rank as u32;
            merges.insert(a, b, id);
            let piece = [&*pieces[a as usize], &*pieces[b as usize]].concat();
            if let Some(word) = piece.strip_suffix(b" ") {
                words.insert(word.into(), id);
            }
            ids.insert([left, right].concat(), id);
            pieces.push(piece.into());
        }
        pieces.push((*b"<|startoftext|>").into());
        pieces.push((*b"<|endoftext|>").into());
        Self { merges, words, bytes, pieces }
    }

    /// The ids of a text, without start and end: cleaned, lower-cased, split into words, merged.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        self.encode_cleaned(&clean(text).to_lowercase(), &mut ids);
        ids
    }

    fn encode_cleaned(&self, text: &str, ids: &mut Vec<u32>) {
        if text.is_ascii() {
            let mut rest = text.as_bytes();
            while let Some(length) = ascii_word(rest) {
                self.word(&rest[..length], ids);
                rest = &rest[length..];
                rest = rest.strip_prefix(b" ").unwrap_or(rest);
            }
        } else {
            PATTERN.find_iter(text).for_each(|word| self.word(word.as_str().as_bytes(), ids));
        }
    }

    fn word(&self, word: &[u8], ids: &mut Vec<u32>) {
        if let Some(&id) = self.words.get(word) {
            return ids.push(id);
        }
        match word {
            b"<|startoftext|>" => ids.push(START),
            b"<|endoftext|>" => ids.push(END),
            word => self.merge(word, ids),
        }
    }

    fn merge(&self, word: &[u8], ids: &mut Vec<u32>) {
        if word.len() > LONG_WORD {
            self.merge_long(word, ids);
        } else {
            self.merge_short(word, ids);
        }
    }

    fn merge_short(&self, word: &[u8], ids: &mut Vec<u32>) {
        let first = ids.len();
        ids.extend(word.iter().map(|&byte| self.bytes[byte as usize]));
        if let Some(last) = ids.last_mut() {
            *last += END_OF_WORD;
        }
        // Merged ids grow with their rank, so the lowest id is the merge that comes first.
        loop {
            let pairs = ids[first..].windows(2);
            let Some(merged) = pairs.filter_map(|pair| self.merges.get(pair[0], pair[1])).min()
            else {
                return;
            };
            let mut to = first;
            let mut from = first;
            while from < ids.len() {
                let right = ids.get(from + 1);
                if right.and_then(|&right| self.merges.get(ids[from], right)) == Some(merged) {
                    ids[to] = merged;
                    from += 2;
                } else {
                    ids[to] = ids[from];
                    from += 1;
                }
                to += 1;
            }
            ids.truncate(to);
        }
    }

    /// The same for a word of any length, in time that grows a little more than with the length:
    /// what may merge waits in order of rank and place, each symbol knows its neighbours.
    fn merge_long(&self, word: &[u8], ids: &mut Vec<u32>) {
        let mut symbols: Vec<u32> = word.iter().map(|&byte| self.bytes[byte as usize]).collect();
        if let Some(last) = symbols.last_mut() {
            *last += END_OF_WORD;
        }
        let length = symbols.len();
        let mut after: Vec<usize> = (1..=length).collect();
        let mut before: Vec<usize> = (0..length).map(|at| at.wrapping_sub(1)).collect();
        let merge = |symbols: &[u32], left: usize, right: usize| {
            let id = self.merges.get(*symbols.get(left)?, *symbols.get(right)?)?;
            Some(Reverse((id, left, right)))
        };
        let pairs = (1..length).filter_map(|at| merge(&symbols, at - 1, at));
        let mut waiting: BinaryHeap<Reverse<(u32, usize, usize)>> = pairs.collect();
        while let Some(Reverse((id, left, right))) = waiting.pop() {
            // Either may have merged with its other neighbour meanwhile.
            let same = after[left] == right
                && symbols[left] != MERGED
                && self.merges.get(symbols[left], symbols[right]) == Some(id);
            if !same {
                continue;
            }
            symbols[left] = id;
            symbols[right] = MERGED;
            after[left] = after[right];
            if let Some(before) = before.get_mut(after[left]) {
                *before = left;
            }
            waiting.extend(merge(&symbols, before[left], left));
            waiting.extend(merge(&symbols, left, after[left]));
        }
        ids.extend(symbols.into_iter().filter(|&symbol| symbol != MERGED));
    }

    /// Exactly `context` ids: start, text, end, then zeros. A text that is too long keeps its end
    /// token.
    pub fn tokenize(&self, text: &str, context: usize) -> Vec<i64> {
        let mut ids = vec![i64::from(START)];
        ids.extend(self.encode(text).into_iter().map(i64::from));
        ids.truncate(context.saturating_sub(1));
        ids.push(i64::from(END));
        ids.resize(context, 0);
        ids
    }

    /// The text of ids, words apart by spaces.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids
            .iter()
            .filter_map(|&id| self.pieces.get(id as usize))
            .flat_map(|p| p.iter().copied())
            .collect();
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }
}

/// The length of the first token of ASCII text that begins with none or one space; none at its end.
fn ascii_word(text: &[u8]) -> Option<usize> {
    let run = |of: fn(&u8) -> bool| text.iter().take_while(|byte| of(byte)).count();
    match text.first()? {
        b'<' if text.starts_with(b"<|startoftext|>") => Some(15),
        b'<' if text.starts_with(b"<|endoftext|>") => Some(13),
        b'\'' => Some(match text.get(1..3) {
            Some(b"re" | b"ve" | b"ll") => 3,
            _ if matches!(text.get(1), Some(b's' | b't' | b'm' | b'd')) => 2,
            _ => run(is_other),
        }),
        byte if byte.is_ascii_alphabetic() => Some(run(u8::is_ascii_alphabetic)),
        byte if byte.is_ascii_digit() => Some(1),
        _ => Some(run(is_other)),
    }
}

/// Neither letter, digit nor white space.
fn is_other(byte: &u8) -> bool {
    !byte.is_ascii_alphanumeric() && *byte != b' '
}

/// Pairs of ids to the id they merge to: open addressing, as nothing else is as quick.
struct Merges(Vec<(u32, u32, u32)>);

impl Merges {
    const BITS: u32 = 17;

    fn new() -> Self {
        Self(vec![(u32::MAX, u32::MAX, 0); 1 << Self::BITS])
    }

    fn slot(left: u32, right: u32) -> usize {
        let key = (u64::from(left) << 32 | u64::from(right)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (key >> (64 - Self::BITS)) as usize
    }

    fn insert(&mut self, left: u32, right: u32, id: u32) {
        let mut at = Self::slot(left, right);
        while self.0[at].0 != u32::MAX && (self.0[at].0, self.0[at].1) != (left, right) {
            at = (at + 1) % self.0.len();
        }
        self.0[at] = (left, right, id);
    }

    fn get(&self, left: u32, right: u32) -> Option<u32> {
        let mut at = Self::slot(left, right);
        loop {
            let (l, r, id) = self.0[at];
            if (l, r) == (left, right) {
                return Some(id);
            }
            if l == u32::MAX {
                return None;
            }
            at = (at + 1) % self.0.len();
        }
    }
}

/// FNV-1a: short for short words.
#[derive(Clone, Copy)]
struct WordHasher(u64);

impl Default for WordHasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        let fold = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        self.0 = bytes.iter().fold(self.0, fold);
    }

    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
}

fn vocabulary() -> String {
    let mut text = String::new();
    // Built in and covered by tests: it unpacks, or no test passes.
    let _ = flate2::read::GzDecoder::new(VOCABULARY).read_to_string(&mut text);
    text
}

/// Bytes in the order of their symbols: the printable ones first.
fn byte_order() -> Vec<u8> {
    let printable = |b: &u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let first = (0..=255).filter(printable);
    first.chain((0..=255).filter(|b| !printable(b))).collect()
}

/// The strings by which the vocabulary file names the 512 first ids.
fn symbols(order: &[u8]) -> HashMap<String, u32> {
    let mut next = 256;
    let mut ids = HashMap::new();
    for (id, &byte) in order.iter().enumerate() {
        let printable = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
        let code = if printable { u32::from(byte) } else { next };
        next += u32::from(!printable);
        let symbol = char::from_u32(code).unwrap_or('\u{fffd}');
        ids.insert(symbol.to_string(), id as u32);
        ids.insert(format!("{symbol}</w>"), id as u32 + END_OF_WORD);
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_texts_have_openais_ids() {
        let tokenizer = Tokenizer::new();
        assert_eq!(tokenizer.encode("a photo of a cat"), [320, 1125, 539, 320, 2368]);
        assert_eq!(tokenizer.encode("Hello, World!"), [3306, 267, 1002, 256]);
        assert_eq!(tokenizer.tokenize("a diagram", 8), [49406, 320, 22697, 49407, 0, 0, 0, 0]);
    }

    #[test]
    fn words_of_the_vocabulary_are_what_their_merges_lead_to() {
        let tokenizer = Tokenizer::new();
        let wrong = tokenizer.words.iter().filter(|(word, id)| {
            let mut ids = Vec::new();
            tokenizer.merge(word, &mut ids);
            ids != [**id]
        });
        let wrong: Vec<_> = wrong.map(|(word, _)| String::from_utf8_lossy(word)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    /// Letters in no order, from a generator of numbers.
    fn letters(alphabet: &[u8], count: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut letter = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            alphabet[(state >> 33) as usize % alphabet.len()]
        };
        (0..count).map(|_| letter()).collect()
    }

    #[test]
    fn long_words_merge_as_short_ones_do() {
        let tokenizer = Tokenizer::new();
        for alphabet in
            [&b"a"[..], b"ha", b"the", b"abcdefghijklmnopqrstuvwxyz", b"(!-.", &[0xc3, 0xa9, b'e']]
        {
            for length in [1, 2, 3, 129, 1000, 5000] {
                let word = letters(alphabet, length);
                let (mut short, mut long) = (Vec::new(), Vec::new());
                tokenizer.merge_short(&word, &mut short);
                tokenizer.merge_long(&word, &mut long);
                assert_eq!(short, long, "{length} of {alphabet:?}");
            }
        }
    }

    /// Minutes if each merge went through the whole word.
    #[test]
    fn a_word_of_two_million_letters_is_no_trouble() {
        let word = String::from_utf8(letters(b"abcdefghijklmnopqrstuvwxyz", 2_000_000)).unwrap();
        assert!(Tokenizer::new().encode(&word).len() > 500_000);
    }

    #[test]
    fn special_tokens_are_openais() {
        let tokenizer = Tokenizer::new();
        assert_eq!(tokenizer.encode("a<|endoftext|>b"), [320, 49407, 321]);
        assert!(!tokenizer.encode("<end_of_text>").contains(&49407));
        assert!(!tokenizer.encode("!<|endoftext|>").contains(&49407));
    }

    #[test]
    fn a_long_text_keeps_its_end() {
        let tokens = Tokenizer::new().tokenize(&"cat ".repeat(100), 16);
        assert_eq!((tokens.len(), tokens[0], tokens[15]), (16, 49406, 49407));
    }

    #[test]
    fn agrees_with_a_second_tokenizer() {
        let (ours, theirs) = (Tokenizer::new(), instant_clip_tokenizer::Tokenizer::new());
        for text in
            ["the quick brown fox's den", "naïve café 12345", "日本語 emoji 😀!!", "x_y-z @ 50%"]
        {
            let mut tokens = vec![];
            theirs.encode(text, &mut tokens);
            let tokens: Vec<u32> = tokens.iter().map(|t| u32::from(t.to_u16())).collect();
            assert_eq!(ours.encode(text), tokens, "{text}");
        }
    }

    proptest! {
        #[test]
        fn words_come_back(words in prop::collection::vec("[a-z]{1,12}", 1..8)) {
            static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(Tokenizer::new);
            let tokenizer = &*TOKENIZER;
            let text = words.join(" ");
            // Words that split at an apostrophe do not occur here, so the spaces come back too.
            prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text)), text);
        }
    }
}
