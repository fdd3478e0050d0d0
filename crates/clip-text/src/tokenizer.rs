//! CLIP's byte-pair tokenizer (OpenAI CLIP, `simple_tokenizer.py`): the same ids.

use std::collections::HashMap;
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

static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    let words = r"(?i)<\|startoftext\|>|<\|endoftext\|>|<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+";
    #[expect(clippy::expect_used, reason = "a constant pattern, used by every test")]
    Regex::new(words).expect("the token pattern is valid")
});

/// Turns text into token ids and back.
pub struct Tokenizer {
    /// Pair of ids to (rank, merged id): the lowest rank is merged first.
    merges: HashMap<(u32, u32), u32>,
    /// Byte to id of its symbol.
    bytes: [u32; 256],
    /// Id to the bytes it stands for.
    pieces: Vec<Vec<u8>>,
}

impl Default for Tokenizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Tokenizer {
    /// Unpacks the vocabulary that is built in.
    pub fn new() -> Self {
        let order = byte_order();
        let mut bytes = [0; 256];
        for (id, &byte) in order.iter().enumerate() {
            bytes[byte as usize] = id as u32;
        }
        let mut pieces: Vec<Vec<u8>> = order.iter().map(|&byte| vec![byte]).collect();
        pieces.extend(order.iter().map(|&byte| vec![byte, b' ']));
        let mut ids = symbols(&order);
        let mut merges = HashMap::with_capacity(MERGES);
        for (rank, line) in vocabulary().lines().skip(1).take(MERGES).enumerate() {
            let Some((left, right)) = line.split_once(' ') else { continue };
            let (Some(&a), Some(&b)) = (ids.get(left), ids.get(right)) else { continue };
            let id = 512 + rank as u32;
            merges.insert((a, b), id);
            ids.insert(format!("{left}{right}"), id);
            pieces.push([pieces[a as usize].clone(), pieces[b as usize].clone()].concat());
        }
        pieces.push(b"<|startoftext|>".to_vec());
        pieces.push(b"<|endoftext|>".to_vec());
        Self { merges, bytes, pieces }
    }

    /// The ids of a text, without start and end: cleaned, lower-cased, split into words, merged.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let text = clean(text).to_lowercase();
        let mut ids = Vec::new();
        for word in PATTERN.find_iter(&text) {
            match word.as_str() {
                "<|startoftext|>" | "<start_of_text>" => ids.push(START),
                "<|endoftext|>" | "<end_of_text>" => ids.push(END),
                word => self.word(word, &mut ids),
            }
        }
        ids
    }

    fn word(&self, word: &str, ids: &mut Vec<u32>) {
        let first = ids.len();
        ids.extend(word.bytes().map(|byte| self.bytes[byte as usize]));
        if let Some(last) = ids.last_mut() {
            *last += END_OF_WORD;
        }
        // Merged ids grow with their rank, so the lowest id is the merge that comes first.
        loop {
            let pairs = ids[first..].windows(2);
            let best = pairs.filter_map(|pair| self.merges.get(&(pair[0], pair[1]))).min().copied();
            let Some(merged) = best else { return };
            let mut to = first;
            let mut from = first;
            while from < ids.len() {
                let pair = ids.get(from + 1).map(|&right| (ids[from], right));
                if pair.and_then(|pair| self.merges.get(&pair)) == Some(&merged) {
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

    /// Exactly `context` ids: start, text, end, then zeros. A text that is too long keeps its end token.
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
        let bytes: Vec<u8> =
            ids.iter().filter_map(|&id| self.pieces.get(id as usize)).flatten().copied().collect();
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
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
