//! The pairs of all shards: where each lies, its captions as tokens, and its pixels once they were decoded.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clip_corpus::{Member, ShardIndex};
use clip_image::{DecodeOptions, Rgb, decode};
use clip_text::Tokenizer;

use crate::augment::shorter_side;
use crate::{Error, Result};

/// Fields that hold a picture.
const IMAGES: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// One picture with its captions.
pub struct Pair {
    /// Its key, unique in the corpus as the shards' numbers are part of it.
    pub key: String,
    /// Texts as written.
    pub captions: Vec<String>,
    /// The same as tokens, start and end included, without padding.
    pub tokens: Vec<Vec<i64>>,
    shard: u32,
    offset: u64,
    size: u64,
    pixels: OnceLock<Rgb>,
}

/// All pairs of a list of shards, for random access.
pub struct Corpus {
    pairs: Vec<Pair>,
    shards: Vec<(PathBuf, File)>,
    side: u32,
    cached: bool,
}

impl Corpus {
    /// Indexes the shards that `spec` names. Pictures are decoded when first asked for, brought to a shorter
    /// side of at most `side`, and kept when all of them fit in `cache_bytes`.
    ///
    /// A sample counts when it has a caption and a picture. Returns the corpus and the number of those
    /// that do not count.
    pub fn open(spec: &str, context: usize, side: u32, cache_bytes: u64) -> Result<(Self, usize)> {
        let tokenizer = Tokenizer::new();
        let (mut pairs, mut shards, mut skipped) = (Vec::new(), Vec::new(), 0);
        for path in clip_corpus::expand(spec)? {
            let index = ShardIndex::scan(&path)?;
            let file = File::open(&path).map_err(|e| Error::io(&path, e))?;
            for members in index.members.chunk_by(|a, b| a.key == b.key) {
                let captions = captions(&file, &path, members)?;
                let image = members.iter().find(|m| IMAGES.contains(&m.field.as_str()));
                let Some(image) = image.filter(|_| !captions.is_empty()) else {
                    skipped += 1;
                    continue;
                };
                let tokens = captions.iter().map(|text| unpadded(&tokenizer, text, context));
                pairs.push(Pair {
                    key: image.key.clone(),
                    tokens: tokens.collect(),
                    captions,
                    shard: shards.len() as u32,
                    offset: image.offset,
                    size: image.size,
                    pixels: OnceLock::new(),
                });
            }
            shards.push((path, file));
        }
        if pairs.is_empty() {
            let hint = "a sample needs a caption (txt, or json with captions) and a picture";
            return Err(Error::Recipe(format!("{spec}: no pair in the shards\nhint: {hint}")));
        }
        let cached = pairs.len() as u64 * u64::from(side).pow(2) * 3 <= cache_bytes;
        Ok((Self { pairs, shards, side, cached }, skipped))
    }

    /// The pairs, in the order of the shards.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// The picture of pair `index`.
    pub(crate) fn image(&self, index: usize) -> Result<Rgb> {
        let pair = &self.pairs[index];
        if let Some(image) = pair.pixels.get() {
            return Ok(image.clone());
        }
        let (path, file) = &self.shards[pair.shard as usize];
        let mut bytes = vec![0; pair.size as usize];
        file.read_exact_at(&mut bytes, pair.offset).map_err(|e| Error::io(path, e))?;
        let options = DecodeOptions { min_side: Some(self.side), ..DecodeOptions::default() };
        let reason = |e: clip_image::Error| format!("sample {:?}: {e}", pair.key);
        let image = decode(&bytes, &options).map_err(|e| Error::file(path, reason(e)))?;
        let large = image.width.min(image.height) > self.side;
        let image = if large { shorter_side(&image, self.side) } else { image };
        if self.cached {
            // Another thread may have been faster with the same pixels.
            let _ = pair.pixels.set(image.clone());
        }
        Ok(image)
    }
}

fn unpadded(tokenizer: &Tokenizer, text: &str, context: usize) -> Vec<i64> {
    let mut ids = tokenizer.tokenize(text, context);
    let end = ids.iter().rposition(|&id| id != 0).map_or(0, |last| last + 1);
    ids.truncate(end);
    ids
}

/// The list `captions` of the JSON field where it has one, else the text field.
fn captions(file: &File, path: &Path, members: &[Member]) -> Result<Vec<String>> {
    let mut file = file;
    let mut read = |field: &str| -> Result<Option<Vec<u8>>> {
        let Some(member) = members.iter().find(|m| m.field == field) else { return Ok(None) };
        let mut bytes = vec![0; member.size as usize];
        let content =
            file.seek(SeekFrom::Start(member.offset)).and_then(|_| file.read_exact(&mut bytes));
        content.map_err(|e| Error::io(path, e))?;
        Ok(Some(bytes))
    };
    if let Some(json) = read("json")? {
        let value: serde_json::Value = serde_json::from_slice(&json)
            .map_err(|e| Error::file(path, format!("{}.json: {e}", members[0].key)))?;
        let list = value.get("captions").and_then(|list| list.as_array());
        let texts: Vec<String> = list
            .into_iter()
            .flatten()
            .filter_map(|text| text.as_str())
            .map(str::to_owned)
            .collect();
        if !texts.is_empty() {
            return Ok(texts);
        }
    }
    let text = read("txt")?.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    Ok(text.into_iter().filter(|text| !text.is_empty()).collect())
}
