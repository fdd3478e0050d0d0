//! JSON as others write it.
//!
//! Python's `json.dumps` writes `NaN`, `Infinity` and escapes of lone surrogates, editors write a
//! byte-order mark, old tools write bytes that are not UTF-8. None of that is JSON (RFC 8259), and
//! all of it is in published data sets. Here a number that JSON does not have is read as null, and
//! what is no character as U+FFFD; everything else that is no JSON stays an error.

use std::io::{self, Read};

use clip_guard::LONGEST_LINE;
use serde::de::DeserializeOwned;

const BOM: &[u8] = "\u{feff}".as_bytes();
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();
/// Longest name or number that is looked at; a longer one is given on as it is.
const LONGEST_WORD: usize = 4096;
/// Bytes that a reader takes from its source at a time.
const CHUNK: usize = 1 << 16;

/// Reads a value: as it is where it is JSON, repaired where it is not.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(_) => serde_json::from_slice(&repair(bytes)),
    }
}

/// The JSON that was meant.
pub fn repair(bytes: &[u8]) -> Vec<u8> {
    let mut rest = bytes.strip_prefix(BOM).unwrap_or(bytes).to_vec();
    let (mut repair, mut out) = (Repair::default(), Vec::with_capacity(bytes.len()));
    repair.decode(&mut rest, true, &mut out);
    repair.word(&mut out);
    out
}

/// The JSON that was meant, as a stream: for files that are larger than memory. A text in it that
/// is longer than [`LONGEST_LINE`] is an error.
pub fn reader<R: Read>(source: R) -> Reader<R> {
    let (taken, out) = (Vec::new(), Vec::new());
    Reader { source, repair: Repair::default(), taken, out, at: 0, begun: false, ended: false }
}

/// See [`reader`].
pub struct Reader<R> {
    source: R,
    repair: Repair,
    /// The beginning of a character whose end was not read yet.
    taken: Vec<u8>,
    out: Vec<u8>,
    at: usize,
    begun: bool,
    ended: bool,
}

impl<R: Read> Reader<R> {
    fn fill(&mut self) -> io::Result<()> {
        (self.at, self.ended) =
            (0, (&mut self.source).take(CHUNK as u64).read_to_end(&mut self.taken)? == 0);
        self.out.clear();
        if !self.begun {
            self.begun = true;
            if self.taken.starts_with(BOM) {
                self.taken.drain(..BOM.len());
            }
        }
        self.repair.decode(&mut self.taken, self.ended, &mut self.out);
        if self.ended {
            self.repair.word(&mut self.out);
        }
        if self.repair.longest > LONGEST_LINE {
            let reason = format!(
                "a text is longer than the {} MiB that are read of one",
                LONGEST_LINE >> 20
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(())
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.out.len() && !self.ended {
            self.fill()?;
        }
        let read = (&self.out[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Outside,
    Inside,
    /// After a backslash in a string.
    Escape,
    /// Among the four digits of `\u`.
    Digits,
}

/// Rewrites JSON as it passes.
#[derive(Default)]
struct Repair {
    state: State,
    /// A name or number outside of strings that has not ended.
    word: Vec<u8>,
    digits: Vec<u8>,
    /// Digits of a high surrogate that waits for its low one.
    high: Option<[u8; 4]>,
    /// Bytes of the string so far, and of the longest.
    length: usize,
    longest: usize,
}

impl Repair {
    /// Takes bytes that may break off inside a character; what did stays in `bytes`, unless they
    /// are the last.
    fn decode(&mut self, bytes: &mut Vec<u8>, last: bool, out: &mut Vec<u8>) {
        let mut at = 0;
        while at < bytes.len() {
            let Err(fault) = std::str::from_utf8(&bytes[at..]) else {
                self.push(&bytes[at..], out);
                at = bytes.len();
                break;
            };
            let bad = at + fault.valid_up_to();
            self.push(&bytes[at..bad], out);
            at = bad;
            match fault.error_len() {
                None if !last => break,
                length => {
                    self.push(REPLACEMENT, out);
                    at += length.unwrap_or(bytes.len() - at);
                }
            }
        }
        bytes.drain(..at);
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let [byte, after @ ..] = rest {
            if self.state == State::Inside {
                // Most of a string is given on as it is.
                let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
                let (plain, after) = rest.split_at(plain.unwrap_or(rest.len()));
                self.length += plain.len();
                self.longest = self.longest.max(self.length);
                if !plain.is_empty() {
                    self.lone(out);
                    out.extend_from_slice(plain);
                    rest = after;
                    continue;
                }
            }
            self.byte(*byte, out);
            rest = after;
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.state {
            State::Outside => match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.' => {
                    self.word.push(byte);
                    if self.word.len() > LONGEST_WORD {
                        out.append(&mut self.word);
                    }
                }
                _ => {
                    self.word(out);
                    out.push(byte);
                    if byte == b'"' {
                        self.length = 0;
                        self.state = State::Inside;
                    }
                }
            },
            State::Inside if byte == b'\\' => {
                self.length += 1;
                self.state = State::Escape;
            }
            State::Inside => {
                self.lone(out);
                out.push(byte);
                self.state = State::Outside;
            }
            State::Escape if byte == b'u' => self.state = State::Digits,
            State::Escape => {
                self.lone(out);
                out.extend([b'\\', byte]);
                self.state = State::Inside;
            }
            State::Digits if byte.is_ascii_hexdigit() => {
                self.digits.push(byte);
                if let [a, b, c, d] = self.digits[..] {
                    self.digits.clear();
                    self.state = State::Inside;
                    self.unit([a, b, c, d], out);
                }
            }
            // Not an escape: for the parser to refuse.
            State::Digits => {
                self.lone(out);
                out.extend(b"\\u");
                out.append(&mut self.digits);
                self.state = State::Inside;
                self.push(&[byte], out);
            }
        }
    }

    /// A unit of UTF-16, as its four digits.
    fn unit(&mut self, digits: [u8; 4], out: &mut Vec<u8>) {
        let value = std::str::from_utf8(&digits).ok().and_then(|d| u16::from_str_radix(d, 16).ok());
        match value {
            Some(0xd800..=0xdbff) => {
                self.lone(out);
                self.high = Some(digits);
            }
            Some(0xdc00..=0xdfff) => match self.high.take() {
                Some(high) => {
                    for digits in [high, digits] {
                        out.extend(b"\\u");
                        out.extend(digits);
                    }
                }
                None => out.extend(REPLACEMENT),
            },
            _ => {
                self.lone(out);
                out.extend(b"\\u");
                out.extend(digits);
            }
        }
    }

    /// A high surrogate that waits is alone.
    fn lone(&mut self, out: &mut Vec<u8>) {
        if self.high.take().is_some() {
            out.extend(REPLACEMENT);
        }
    }

    /// The end of a name or number.
    fn word(&mut self, out: &mut Vec<u8>) {
        if is_no_number(&self.word) {
            self.word.clear();
            out.extend(b"null");
        } else {
            out.append(&mut self.word);
        }
    }
}

/// Whether it stands for a number that JSON, or a double, does not have.
fn is_no_number(word: &[u8]) -> bool {
    let number = |word: &[u8]| {
        word.iter().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
    };
    let value = |word| std::str::from_utf8(word).ok().and_then(|word| word.parse::<f64>().ok());
    matches!(word, b"NaN" | b"Infinity" | b"-Infinity")
        || (number(word) && value(word).is_some_and(f64::is_infinite))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(bytes: &[u8]) -> Value {
        from_slice(bytes).unwrap_or_else(|e| panic!("{}: {e}", String::from_utf8_lossy(bytes)))
    }

    #[test]
    fn what_python_writes_is_read() {
        for (text, value) in [
            (
                r#"{"a": NaN, "b": [Infinity, -Infinity], "c": -1.5}"#,
                json!({"a": null, "b": [null, null], "c": -1.5}),
            ),
            (r#"["NaN", "-Infinity", true, null]"#, json!(["NaN", "-Infinity", true, null])),
            ("[1e999, -1e999, 1e3]", json!([null, null, 1e3])),
            (
                r#"["\ud83d", "\ude00", "a\ud83db", "\ud83d\ude00"]"#,
                json!(["\u{fffd}", "\u{fffd}", "a\u{fffd}b", "😀"]),
            ),
            (
                r#"["\ud83d\ud83d\ude00", "\ud83d\n", "\ud83d\u0041"]"#,
                json!(["\u{fffd}😀", "\u{fffd}\n", "\u{fffd}A"]),
            ),
            (
                r#"{"\udc80": "\\ud83d", "q": "\"NaN\""}"#,
                json!({"\u{fffd}": "\\ud83d", "q": "\"NaN\""}),
            ),
            ("\u{feff}{\"a\": 1}", json!({"a": 1})),
            ("NaN", json!(null)),
        ] {
            assert_eq!(read(text.as_bytes()), value, "{text}");
        }
        assert_eq!(read(b"[\"caf\xe9 \xff\", NaN]"), json!(["caf\u{fffd} \u{fffd}", null]));
        assert_eq!(read(b"[\"cut \xf0\x9f\x98\"]"), json!(["cut \u{fffd}"]));
    }

    #[test]
    fn what_is_no_json_stays_an_error() {
        for text in [
            "",
            "{",
            "{a: 1}",
            r#"["\u12"]"#,
            r#"["\ud83d"#,
            "[nan]",
            "[1,]",
            "nul",
            "[inf]",
            "'a'",
            "[\"a\nb\"]",
        ] {
            assert!(from_slice::<Value>(text.as_bytes()).is_err(), "{text}");
        }
    }

    /// Gives a byte at a time, so that every escape and character is broken off everywhere.
    struct Bytes<'a>(&'a [u8]);

    impl Read for Bytes<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(1);
            self.0.read(&mut buffer[..most])
        }
    }

    #[test]
    fn a_stream_gives_what_a_slice_gives() {
        let text = "\u{feff}[\"😀 \\ud83d\\ude00 \\ud83d x\", NaN, -Infinity, 12.5e3]";
        for bytes in [text.as_bytes(), b"[\"caf\xe9 \xf0\x9f\x98\", NaN]", b"\xef\xbb", b""] {
            let mut streamed = Vec::new();
            reader(Bytes(bytes)).read_to_end(&mut streamed).unwrap();
            assert_eq!(streamed, repair(bytes));
        }
        let long = format!("[{}]", vec!["\"é\\ud83d\", NaN"; 20_000].join(","));
        let values: Vec<Value> = serde_json::from_reader(reader(long.as_bytes())).unwrap();
        let endless = b"[\"".chain(io::repeat(b'a').take(1 << 34));
        let refused = serde_json::from_reader::<_, Value>(reader(endless)).unwrap_err();
        assert!(refused.to_string().contains("16 MiB"), "{refused}");
        assert_eq!(values.len(), 40_000);
        assert_eq!((&values[39_998], &values[39_999]), (&json!("é\u{fffd}"), &Value::Null));
    }

    proptest! {
        #[test]
        fn json_is_left_as_it_is(texts in prop::collection::vec(".*", 0..6), numbers in prop::collection::vec(any::<f64>(), 0..6)) {
            let text = json!({"texts": texts, "numbers": numbers}).to_string();
            prop_assert_eq!(repair(text.as_bytes()), text.as_bytes());
        }

        #[test]
        fn any_bytes_become_text(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(String::from_utf8(repair(&bytes)).is_ok());
        }
    }
}
