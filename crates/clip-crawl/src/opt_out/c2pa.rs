//! The training and mining assertions of C2PA and CAWG: what a manifest within an image says about
//! its use. Signatures are not checked: who removes the manifest removes the opt-out, and who adds
//! one loses an image to a corpus.

use serde_json::{Map, Number, Value};

/// Boxes within each other, and values within each other.
const DEPTH: usize = 24;
/// Uses that a corpus for training makes of an image, without their prefix.
const USES: [&str; 3] = ["ai_training", "ai_generative_training", "data_mining"];
/// Values of a use that is not simply allowed.
const FORBID: [&str; 2] = ["notAllowed", "constrained"];

/// The label of the assertion, its entry and the entry's value, where one forbids the use for
/// training.
pub(super) fn forbidden(image: &[u8]) -> Option<(String, String, String)> {
    let store = clip_image::c2pa_store(image)?;
    let mut found = None;
    walk(&store, None, DEPTH, &mut |label, kind, content| {
        if found.is_some() || !label.contains("training-mining") {
            return;
        }
        let value = match kind {
            b"cbor" => Cbor { rest: content }.value(DEPTH),
            b"json" => serde_json::from_slice(content).ok(),
            _ => None,
        };
        let entry = value.as_ref().and_then(|value| forbidding_entry(value, DEPTH));
        found = entry.map(|(name, value)| (label.to_owned(), name, value));
    });
    found
}

/// An entry of a use with its value, wherever it is.
fn forbidding_entry(value: &Value, depth: usize) -> Option<(String, String)> {
    let Value::Object(map) = value else { return None };
    for (name, entry) in map {
        let named = USES.iter().any(|r#use| name.rsplit('.').next() == Some(*r#use));
        let value = entry.get("use").or(Some(entry)).and_then(Value::as_str);
        if let Some(value) = value.filter(|value| named && FORBID.contains(value)) {
            return Some((name.clone(), value.to_owned()));
        }
        if let Some(found) = depth.checked_sub(1).and_then(|depth| forbidding_entry(entry, depth)) {
            return Some(found);
        }
    }
    None
}

/// Takes the label of a superbox, and type and content of a box in it.
type Visit<'a> = dyn FnMut(&str, &[u8; 4], &[u8]) + 'a;

/// The boxes of JUMBF (ISO 19566-5), with the label of the superbox that holds each.
fn walk(mut bytes: &[u8], label: Option<&str>, depth: usize, visit: &mut Visit) {
    let mut label = label.map(str::to_owned);
    while let Some((kind, content, rest)) = next_box(bytes) {
        bytes = rest;
        match &kind {
            b"jumb" if depth > 0 => walk(content, None, depth - 1, visit),
            b"jumd" => label = description_label(content),
            _ => visit(label.as_deref().unwrap_or_default(), &kind, content),
        }
    }
}

/// Type and content of the first box, and what follows it.
fn next_box(bytes: &[u8]) -> Option<([u8; 4], &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (kind, rest) = rest.split_first_chunk()?;
    let (header, length) = match u32::from_be_bytes(*length) {
        0 => (8, bytes.len() as u64),
        1 => (16, u64::from_be_bytes(*rest.first_chunk()?)),
        length => (8, u64::from(length)),
    };
    let length = usize::try_from(length).ok()?;
    let content = bytes.get(header..length)?;
    Some((*kind, content, &bytes[length..]))
}

/// The label in a description box: behind its type and its toggles, ended by a zero.
fn description_label(content: &[u8]) -> Option<String> {
    let (toggles, text) = content.get(16..)?.split_first()?;
    let end = memchr::memchr(0, text)?;
    (toggles & 2 != 0).then(|| String::from_utf8_lossy(&text[..end]).into_owned())
}

/// A reader of CBOR (RFC 8949) that makes JSON of it, as far as assertions need it.
struct Cbor<'a> {
    rest: &'a [u8],
}

impl Cbor<'_> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        let (major, info) = (first >> 5, first & 31);
        let open = info == 31;
        // The length of something open is not known: up to a break.
        let number = if open { u64::MAX } else { self.number(info)? };
        Some(match major {
            0 => Value::Number(number.into()),
            1 => Value::Number(Number::from(-1 - i64::try_from(number).ok()?)),
            2 | 3 if open => return None,
            2 => Value::String(String::from_utf8_lossy(self.bytes(number)?).into_owned()),
            3 => Value::String(std::str::from_utf8(self.bytes(number)?).ok()?.to_owned()),
            4 => {
                let mut items = Vec::new();
                while (items.len() as u64) < number && !(open && self.breaks()) {
                    items.push(self.value(depth)?);
                }
                Value::Array(items)
            }
            5 => {
                let (mut map, mut count) = (Map::new(), 0);
                while count < number && !(open && self.breaks()) {
                    let key = self.value(depth)?;
                    let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                    map.insert(key, self.value(depth)?);
                    count += 1;
                }
                Value::Object(map)
            }
            // A tag says more of the value that follows.
            6 => self.value(depth)?,
            _ => match info {
                20 => Value::Bool(false),
                21 => Value::Bool(true),
                _ => Value::Null,
            },
        })
    }

    /// The number that belongs to the first byte of a value.
    fn number(&mut self, info: u8) -> Option<u64> {
        let length = match info {
            0..=23 => return Some(info.into()),
            24..=27 => 1 << (info - 24),
            _ => return None,
        };
        let bytes = self.bytes(length)?;
        Some(bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn bytes(&mut self, length: u64) -> Option<&[u8]> {
        let (bytes, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(bytes)
    }

    /// Reads a break, if that is next.
    fn breaks(&mut self) -> bool {
        let rest = self.rest.strip_prefix(&[0xff]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind_are_read_and_broken_ones_are_none() {
        let read = |bytes: &[u8]| Cbor { rest: bytes }.value(8);
        // {"a": [1, -2, h'62', true], "b": {_ "c": null}}, from RFC 8949's encodings.
        let bytes = b"\xa2\x61a\x84\x01\x21\x41b\xf5\x61b\xbf\x61c\xf6\xff";
        let expected = serde_json::json!({"a": [1, -2, "b", true], "b": {"c": null}});
        assert_eq!(read(bytes), Some(expected));
        assert_eq!(read(b"\xd8\x20\x19\x01\x00"), Some(256.into()));
        for broken in [
            &bytes[..9],
            b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x5f",
            b"\x1c",
            &[0x81; 40],
            b"",
        ] {
            assert_eq!(read(broken), None, "{broken:x?}");
        }
    }

    #[test]
    fn boxes_that_lie_about_their_length_end_the_walk() {
        let mut seen = Vec::new();
        let bytes = b"\0\0\0\x0aabcdXY\0\0\0\x01efgh\0\0\0\0\0\0\0\x11Z\0\0\0\x63ijkl";
        walk(bytes, Some("l"), 3, &mut |label, kind, content| {
            seen.push((label.to_owned(), *kind, content.to_vec()));
        });
        let found = [("l".into(), *b"abcd", b"XY".to_vec()), ("l".into(), *b"efgh", b"Z".to_vec())];
        assert_eq!(seen, found);
    }
}
