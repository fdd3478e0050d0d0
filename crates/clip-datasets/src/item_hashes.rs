//! Which items a set has, in four bytes each.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The first four bytes of a hash of each item's key and image, ascending: enough to say that an
/// item is none of them. As text it is base64.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ItemHashes(Vec<u32>);

impl ItemHashes {
    /// What a file of predictions has them under, after `clip_data.`.
    pub const KEY: &str = "item_hashes";

    /// Of items by their keys and the blake3 of their images' files.
    pub fn new<'a>(items: impl Iterator<Item = (&'a str, blake3::Hash)>) -> Self {
        let mut hashes: Vec<u32> = items.map(|(key, image)| hash(key, image)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        Self(hashes)
    }

    /// Whether the items are not known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of others are among them.
    pub fn contains_all(&self, others: &Self) -> bool {
        others.0.iter().all(|hash| self.0.binary_search(hash).is_ok())
    }

    /// As base64.
    pub fn to_text(&self) -> String {
        let bytes: Vec<u8> = self.0.iter().flat_map(|hash| hash.to_be_bytes()).collect();
        BASE64_STANDARD.encode(bytes)
    }

    /// Of base64; none where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(text).ok()?;
        let hashes = bytes.as_chunks::<4>().0.iter().map(|hash| u32::from_be_bytes(*hash));
        let mut hashes: Vec<u32> = hashes.collect();
        hashes.sort_unstable();
        Some(Self(hashes))
    }

    /// Whether an item is one of them. Of others, one in 2^32 is taken for each of them.
    pub fn contains(&self, key: &str, image: blake3::Hash) -> bool {
        self.0.binary_search(&hash(key, image)).is_ok()
    }
}

fn hash(key: &str, image: blake3::Hash) -> u32 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key.as_bytes()).update(b"\0").update(image.as_bytes());
    let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
    u32::from_be_bytes([a, b, c, d])
}

impl Serialize for ItemHashes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for ItemHashes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_its_key_and_its_image() {
        let image = |number: u8| blake3::hash(&[number]);
        let known = ItemHashes::new([("b", image(2)), ("a", image(1))].into_iter());
        let text = serde_json::to_string(&known).unwrap();
        let read: ItemHashes = serde_json::from_str(&text).unwrap();
        assert_eq!(read, known);
        assert!(read.contains("a", image(1)) && read.contains("b", image(2)));
        assert!(!read.contains("a", image(2)) && !read.contains("c", image(1)));
        assert!(serde_json::from_str::<ItemHashes>("\"?\"").is_err() && !known.is_empty());
    }
}
