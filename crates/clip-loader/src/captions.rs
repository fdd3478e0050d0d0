//! The captions of a sample: which fields they come from, and how often each is drawn.

use std::fmt;
use std::str::FromStr;

use clip_random::unit;
use clip_text::Tokenizer;
use serde_json::Value;

/// Fields that have captions, each with its share of the draws; without any the list `captions` of
/// the JSON field, else the text field.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CaptionKeys(Vec<(String, f32)>);

/// A caption, and how often it is drawn beside the others.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Caption {
    pub text: String,
    pub share: f32,
}

impl CaptionKeys {
    /// Whether no field is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for CaptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let all = self.0.iter().map(|(key, share)| format!("{key}={share}"));
        f.write_str(&all.collect::<Vec<_>>().join(" "))
    }
}

impl FromStr for CaptionKeys {
    type Err = String;

    /// `txt=0.3 json.recaption=0.7`.
    fn from_str(text: &str) -> Result<Self, String> {
        let key = |item: &str| {
            let (key, share) = item.split_once('=')?;
            let share = share.parse::<f32>().ok().filter(|share| *share > 0.0 && *share <= 1e6)?;
            let field = key.strip_prefix("json.").is_some_and(|field| !field.is_empty());
            (key == "txt" || field).then(|| (key.to_owned(), share))
        };
        let parse = |item: &str| {
            let hint = "hint: as in txt=0.3 json.recaption=0.7";
            key(item).ok_or_else(|| format!("{item:?} is no field with a share above 0\n{hint}"))
        };
        let keys = text.split_whitespace().map(parse).collect::<Result<Vec<_>, _>>()?;
        for (at, (key, _)) in keys.iter().enumerate() {
            if keys[..at].iter().any(|(other, _)| other == key) {
                return Err(format!("{key} is there twice"));
            }
        }
        Ok(Self(keys))
    }
}

/// The captions of a sample's JSON and text fields, and whether the JSON could be read. Fields that
/// are absent or empty leave their share to the others; of a field that is a list, each text has
/// the same part of the share.
pub(crate) fn captions_of(
    json: Option<&[u8]>,
    txt: Option<&[u8]>,
    keys: &CaptionKeys,
) -> (Vec<Caption>, bool) {
    let json = json.map(clip_corpus::json::from_slice::<Value>);
    let whole = !matches!(json, Some(Err(_)));
    let json = json.and_then(Result::ok);
    let plain = || {
        let text = txt.map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
        text.filter(|text| !text.is_empty())
    };
    let texts_of = |field: &str| match json.as_ref().and_then(|json| json.get(field)) {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => {
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    if keys.is_empty() {
        // A string there is no list: `captions` is one of ours.
        let list = json.as_ref().is_some_and(|json| json["captions"].is_array());
        let texts = if list { texts_of("captions") } else { Vec::new() };
        let texts = if texts.is_empty() { plain().into_iter().collect() } else { texts };
        return (texts.into_iter().map(|text| Caption { text, share: 1.0 }).collect(), whole);
    }
    let mut captions = Vec::new();
    for (key, share) in &keys.0 {
        let texts = match key.strip_prefix("json.") {
            Some(field) => {
                let texts = texts_of(field).into_iter().map(|text| text.trim().to_owned());
                texts.filter(|text| !text.is_empty()).collect()
            }
            None => plain().into_iter().collect::<Vec<_>>(),
        };
        let share = share / texts.len().max(1) as f32;
        captions.extend(texts.into_iter().map(|text| Caption { text, share }));
    }
    (captions, whole)
}

/// Which of some shares random bits fall on.
pub(crate) fn drawn(shares: impl Iterator<Item = f32> + Clone, bits: u64) -> usize {
    let sum: f64 = shares.clone().map(f64::from).sum();
    let mut left = unit(bits) * sum;
    let mut last = 0;
    for (at, share) in shares.enumerate() {
        last = at;
        left -= f64::from(share);
        if left < 0.0 {
            break;
        }
    }
    last
}

/// Token lists as rows of the longest, zero padded, and that length.
pub fn pad_tokens(texts: &[Vec<u16>]) -> (Vec<i64>, usize) {
    let length = texts.iter().map(Vec::len).max().unwrap_or(0);
    let mut ids = vec![0i64; length * texts.len()];
    for (row, text) in ids.chunks_mut(length.max(1)).zip(texts) {
        row.iter_mut().zip(text).for_each(|(id, &token)| *id = i64::from(token));
    }
    (ids, length)
}

/// Token ids without the padding; the vocabulary has fewer than 65,536 entries.
pub(crate) fn unpadded(tokenizer: &Tokenizer, text: &str, context: usize) -> Vec<u16> {
    let ids = tokenizer.tokenize(text, context);
    let end = ids.iter().rposition(|&id| id != 0).map_or(0, |last| last + 1);
    ids[..end].iter().map(|&id| id as u16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_random::mix;

    fn keys(text: &str) -> CaptionKeys {
        text.parse().unwrap()
    }

    #[test]
    fn fields_and_shares_are_named() {
        let both = keys("txt=0.25 json.recaption=0.75");
        assert_eq!(both.to_string(), "txt=0.25 json.recaption=0.75");
        assert!(keys("").is_empty());
        for bad in ["txt", "txt=0", "txt=-1", "txt=nan", "json.=1", "jpg=1", "txt=1 txt=2"] {
            assert!(bad.parse::<CaptionKeys>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_field_that_is_absent_leaves_its_share_to_the_others() {
        let json = br#"{"a": ["one", "two", " "], "b": "three", "c": 4, "captions": ["five"]}"#;
        let found = |text: &str, txt: Option<&[u8]>| {
            let (captions, whole) = captions_of(Some(json), txt, &keys(text));
            assert!(whole);
            captions.into_iter().map(|c| (c.text, c.share)).collect::<Vec<_>>()
        };
        let own = |all: &[(&str, f32)]| {
            all.iter().map(|(text, share)| ((*text).to_owned(), *share)).collect::<Vec<_>>()
        };
        assert_eq!(
            found("txt=0.5 json.a=0.3 json.b=0.2 json.c=1 json.d=1", Some(b" zero ")),
            own(&[("zero", 0.5), ("one", 0.15), ("two", 0.15), ("three", 0.2)])
        );
        assert_eq!(found("txt=0.5 json.b=0.2", None), own(&[("three", 0.2)]));
        assert_eq!(found("", Some(b"zero")), own(&[("five", 1.0)]));
        assert_eq!(captions_of(Some(b"{"), Some(b"zero"), &keys("json.a=1")), (Vec::new(), false));
    }

    #[test]
    fn shares_are_how_often() {
        let shares = [0.15f32, 0.6, 0.25];
        let mut counts = [0; 3];
        (0..10_000).for_each(|at| counts[drawn(shares.iter().copied(), mix(1, at, 0))] += 1);
        for (count, share) in counts.into_iter().zip(shares) {
            // Four standard deviations.
            assert!((count as f32 / 10_000.0 - share).abs() < 0.02, "{counts:?}");
        }
        assert_eq!(drawn(shares.iter().copied(), u64::MAX), 2);
    }
}
