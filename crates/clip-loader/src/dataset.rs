//! The pairs of all shards: where each is, its captions as tokens, and its pixels once they were
//! decoded.

mod arms;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use clip_image::Rgb;
use clip_random::below;
use clip_text::Tokenizer;
use rayon::prelude::*;

use crate::captions::{drawn, unpadded};
use crate::contents::{self, Content, Contents, Stamp, damaged};
use crate::open_files::OpenFiles;
use crate::shard::{Found, index_shard};
use crate::stored_image::{decode_member, read_listed, read_member};
use crate::synthetic::drawing;
use crate::{CaptionKeys, Error, Result};

pub use arms::{Arm, SampleName};

/// One image with its captions, in 24 bytes: a corpus of hundreds of millions must fit in memory.
#[derive(Debug, Clone, Copy)]
struct Pair {
    offset: u64,
    shard: u32,
    size: u32,
    /// Number of its first caption; the next pair's first ends its own.
    first: u32,
}

/// An image file with its caption.
pub(crate) struct ListedPair {
    pub image: PathBuf,
    pub tokens: Vec<u16>,
    pub weight: f32,
}

/// One use of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleRef {
    /// The pair.
    pub pair: u32,
    /// Its caption.
    pub caption: u32,
    /// The pass over the corpus.
    pub pass: u32,
    /// Number of the use within its pass: what its random transform is drawn from.
    pub slot: u32,
}

/// In place of a shard's number: `offset` is the number of a drawing, or of a listed file.
const DRAWN: u32 = u32::MAX;
const LISTED: u32 = u32::MAX - 1;

/// Shards that are one source of a corpus.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Files, folders, globs or braces.
    pub spec: String,
    /// How often each of its pairs is expected in an epoch: 1 for once, 0.5 for every other epoch.
    pub weight: f32,
}

/// How a corpus is opened.
#[derive(Debug, Clone)]
pub struct CorpusOptions {
    /// Tokens in a text, start and end included.
    pub context: usize,
    /// Least shorter side, in pixels, that a JPEG is decoded to at 1/2, 1/4 or 1/8; where pairs are
    /// scored, as open_clip does, `None` decodes in full.
    pub side: Option<u32>,
    /// Decoded images are kept in memory when all of them fit in this many bytes, if their shorter
    /// sides are `side`; of larger ones those that come first.
    pub cache_bytes: u64,
    /// Column of the Parquet table beside each shard with how often a pair is expected in an
    /// epoch: a balancing probability, or a weight above 1.
    pub weight_column: Option<String>,
    /// Where captions are.
    pub caption_keys: CaptionKeys,
    /// How the corpus is known again.
    pub identity: Identity,
}

/// How a corpus is known again when a run is resumed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Identity {
    /// It need not be: nothing is hashed.
    #[default]
    None,
    /// By what its shards hold.
    Content,
    /// The same, with what [`Corpus::keep_contents`] has written when the run began.
    Known(PathBuf),
}

/// All pairs of a list of shards, for random access.
pub struct Corpus {
    pairs: Vec<Pair>,
    /// Where each caption begins in `tokens`, and where the last ends.
    captions: Vec<u64>,
    tokens: Vec<u16>,
    /// How often each caption is drawn beside its pair's others; empty where all are alike.
    shares: Vec<f32>,
    /// Expected uses in an epoch; empty when each is used once.
    weights: Vec<f32>,
    /// What is trained on in the places of some pairs.
    stand_ins: HashMap<u32, u32>,
    shards: Vec<PathBuf>,
    /// Image files of tables.
    listed: Vec<PathBuf>,
    /// Tables that they are from.
    tables: usize,
    files: OpenFiles,
    contents: Vec<Content>,
    pixels: Vec<OnceLock<Rgb>>,
    /// Bytes of decoded images that are kept, and at most.
    pub(crate) kept_bytes: AtomicU64,
    cache_bytes: u64,
    side: Option<u32>,
    digest: String,
    skipped: usize,
    broken_json: usize,
}

impl Corpus {
    /// Indexes the shards of all sources. Images are decoded when first asked for.
    ///
    /// A sample counts when it has a caption and an image; [`Corpus::skipped`] counts those that do
    /// not.
    pub fn open(sources: &[Source], options: &CorpusOptions) -> Result<Self> {
        let tokenizer = Tokenizer::new();
        let mut files = Vec::new();
        for source in sources {
            let weight = source.weight;
            files.extend(clip_corpus::expand(&source.spec)?.into_iter().map(|path| (path, weight)));
        }
        let column = options.weight_column.as_deref();
        let keys = &options.caption_keys;
        let contents = match &options.identity {
            Identity::None => None,
            Identity::Content => Some(Contents::default()),
            Identity::Known(path) => Some(Contents::read(path)?),
        };
        let index = |(path, weight): &(PathBuf, f32)| {
            let found =
                index_shard(path, &tokenizer, options.context, column, keys, contents.as_ref());
            found.map(|found| (found, *weight))
        };
        let found = files.par_iter().map(index).collect::<Result<Vec<(Found, f32)>>>()?;
        let mut corpus = Self::empty(options.side);
        let mut hasher = blake3::Hasher::new();
        for ((path, _), (found, weight)) in files.into_iter().zip(found) {
            hasher.update(found.content.blake3.as_bytes());
            hasher.update(&(found.pairs.len() as u64).to_le_bytes());
            hasher.update(&weight.to_le_bytes());
            // They come from a table beside the shard.
            for pair in &found.pairs {
                hasher.update(&pair.weight.to_le_bytes());
            }
            corpus.add(path, found, weight);
        }
        hasher.finalize().to_hex()[..16].clone_into(&mut corpus.digest);
        if keys.is_empty() {
            corpus.shares = Vec::new();
        } else {
            corpus.digest += &format!(", captions {keys}");
        }
        if corpus.pairs.is_empty() {
            let specs: Vec<_> = sources.iter().map(|source| source.spec.as_str()).collect();
            return Err(Error::Options(format!(
                "{}: no pair in the shards\n\
                 hint: a sample needs a caption (txt, or json with captions) and an image",
                specs.join("::")
            )));
        }
        corpus.drop_plain_weights();
        corpus.keep_pixels(options.cache_bytes);
        Ok(corpus)
    }

    /// Drawings with captions, made on the spot: for measuring a machine without data.
    pub fn synthetic(pairs: usize, context: usize, side: u32) -> Self {
        let tokenizer = Tokenizer::new();
        let mut corpus = Self::empty(Some(side));
        for number in 0..pairs {
            let text = format!("drawing number {number}");
            let first = corpus.caption(&unpadded(&tokenizer, &text, context));
            corpus.pairs.push(Pair { offset: number as u64, shard: DRAWN, size: 0, first });
        }
        corpus.digest = format!("synthetic-{pairs}");
        corpus.keep_pixels(0);
        corpus
    }

    /// Image files with one caption each, from `tables` tables.
    pub(crate) fn listed(
        pairs: Vec<ListedPair>,
        tables: usize,
        skipped: usize,
        digest: String,
        options: &CorpusOptions,
    ) -> Self {
        let mut corpus = Self { tables, digest, skipped, ..Self::empty(options.side) };
        for (pair, number) in pairs.into_iter().zip(0..) {
            let first = corpus.caption(&pair.tokens);
            corpus.pairs.push(Pair { offset: number, shard: LISTED, size: 0, first });
            corpus.listed.push(pair.image);
            corpus.weights.push(pair.weight);
        }
        corpus.drop_plain_weights();
        corpus.keep_pixels(options.cache_bytes);
        corpus
    }

    fn empty(side: Option<u32>) -> Self {
        Self {
            pairs: Vec::new(),
            captions: vec![0],
            tokens: Vec::new(),
            shares: Vec::new(),
            weights: Vec::new(),
            stand_ins: HashMap::new(),
            shards: Vec::new(),
            listed: Vec::new(),
            tables: 0,
            files: OpenFiles::new(),
            contents: Vec::new(),
            pixels: Vec::new(),
            kept_bytes: AtomicU64::new(0),
            cache_bytes: 0,
            side,
            digest: String::new(),
            skipped: 0,
            broken_json: 0,
        }
    }

    fn add(&mut self, path: PathBuf, found: Found, weight: f32) {
        let shard = self.shards.len() as u32;
        for pair in found.pairs {
            let first = self.captions.len() as u32 - 1;
            for (tokens, share) in &pair.captions {
                self.caption(tokens);
                self.shares.push(*share);
            }
            let (offset, size) = (pair.offset, pair.size);
            self.pairs.push(Pair { offset, shard, size, first });
            self.weights.push(weight * pair.weight);
        }
        self.skipped += found.skipped;
        self.broken_json += found.broken_json;
        self.shards.push(path);
        self.contents.push(found.content);
    }

    /// Appends a caption's tokens and gives its number.
    fn caption(&mut self, tokens: &[u16]) -> u32 {
        self.tokens.extend_from_slice(tokens);
        self.captions.push(self.tokens.len() as u64);
        self.captions.len() as u32 - 2
    }

    /// Where each pair comes once, nothing is kept of weights.
    fn drop_plain_weights(&mut self) {
        if self.weights.iter().all(|&weight| weight == 1.0) {
            self.weights = Vec::new();
        }
    }

    fn keep_pixels(&mut self, cache_bytes: u64) {
        let Some(side) = self.side else { return };
        if self.pairs.len() as u64 * u64::from(side).pow(2) * 3 <= cache_bytes {
            self.pixels = (0..self.pairs.len()).map(|_| OnceLock::new()).collect();
            self.cache_bytes = cache_bytes;
        }
    }

    /// Keeps the first `most` pairs only.
    pub fn truncate(&mut self, most: usize) {
        if let Some(next) = self.pairs.get(most) {
            self.captions.truncate(next.first as usize + 1);
            self.shares.truncate(next.first as usize);
            self.pairs.truncate(most);
            self.weights.truncate(most);
            self.pixels.truncate(most);
        }
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Number of shards, or of tables.
    pub fn shards(&self) -> usize {
        self.shards.len() + self.tables
    }

    /// Samples without a caption or an image.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Samples whose JSON field could not be read and counts as absent.
    pub fn broken_json(&self) -> usize {
        self.broken_json
    }

    /// Bytes of shards that had to be hashed, for nothing said what they hold.
    pub fn hashed_bytes(&self) -> u64 {
        let hashed = self.contents.iter().filter(|content| content.hashed);
        hashed.map(|content| content.stamp.bytes()).sum()
    }

    /// Writes what the shards hold, for the next start of the run.
    pub fn keep_contents(&self, path: &Path) -> Result<()> {
        contents::write(path, &self.contents)
    }

    /// What the corpus is: its shards' contents, and how often its pairs come.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Expected uses of a pair in an epoch.
    pub(crate) fn weight(&self, pair: usize) -> f32 {
        self.weights.get(pair).copied().unwrap_or(1.0)
    }

    pub(crate) fn weighted(&self) -> bool {
        !self.weights.is_empty()
    }

    /// Number of captions of a pair.
    pub fn caption_count(&self, pair: usize) -> usize {
        let next = self.pairs.get(pair + 1).map_or(self.captions.len() - 1, |p| p.first as usize);
        next - self.pairs[pair].first as usize
    }

    /// The caption of a pair that random bits fall on.
    pub(crate) fn drawn_caption(&self, pair: usize, bits: u64) -> usize {
        let count = self.caption_count(pair);
        let first = self.pairs[pair].first as usize;
        match self.shares.get(first..first + count) {
            Some(shares) => drawn(shares.iter().copied(), bits),
            None => below(bits, count),
        }
    }

    /// Tokens of a pair's caption, start and end included, without padding.
    pub fn text(&self, pair: usize, caption: usize) -> &[u16] {
        let at = self.pairs[pair].first as usize + caption;
        &self.tokens[self.captions[at] as usize..self.captions[at + 1] as usize]
    }

    /// Texts in the corpus, equal ones counted once, up to `enough`.
    pub(crate) fn distinct_texts(&self, enough: usize) -> usize {
        let mut seen = std::collections::HashSet::new();
        for at in self.captions.windows(2) {
            seen.insert(&self.tokens[at[0] as usize..at[1] as usize]);
            if seen.len() >= enough {
                break;
            }
        }
        seen.len()
    }

    /// Image and tokens of a use; those of the next pair that has an image where it cannot be read:
    /// a broken image ends no run.
    pub(crate) fn sample(
        &self,
        used: SampleRef,
        faults: &mut Vec<String>,
    ) -> Result<(Rgb, Vec<u16>)> {
        let mut last = None;
        for ahead in 0..self.len().min(100) {
            let place = (used.pair as usize + ahead) % self.len();
            if ahead > 0 && self.weight(place) <= 0.0 {
                continue;
            }
            let pair = self.stand_in(place as u32) as usize;
            match self.image(pair) {
                Ok(image) => {
                    let caption = used.caption as usize % self.caption_count(pair);
                    return Ok((image, self.text(pair, caption).to_vec()));
                }
                Err(error @ Error::File(_)) => {
                    faults.push(error.to_string());
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::Options("the corpus is empty".into())))
    }

    /// The image of a pair.
    ///
    /// # Errors
    /// When its file cannot be read or decoded, or its shard was changed since it was indexed.
    pub fn image(&self, index: usize) -> Result<Rgb> {
        if let Some(image) = self.pixels.get(index).and_then(OnceLock::get) {
            return Ok(image.clone());
        }
        let pair = &self.pairs[index];
        let image = match pair.shard {
            DRAWN => return Ok(drawing(pair.offset, self.side.unwrap_or_default())),
            LISTED => {
                let path = &self.listed[pair.offset as usize];
                decode_member(&read_listed(path)?, self.side, path, 0)?
            }
            shard => {
                let path = &self.shards[shard as usize];
                let open = || File::open(path).map_err(|e| Error::io(path, e));
                let file = self.files.get(shard, open)?;
                let bytes = read_member(&file, path, pair.offset, pair.size)?;
                if Stamp::of(path, &file)? != self.contents[shard as usize].stamp {
                    return Err(damaged(path, "the shard was changed while this run reads it"));
                }
                decode_member(&bytes, self.side, path, pair.offset)?
            }
        };
        if let Some(kept) = self.pixels.get(index) {
            let bytes = image.data.len() as u64;
            let before = self.kept_bytes.fetch_add(bytes, Ordering::Relaxed);
            // Another thread may have been faster with the same pixels.
            if before + bytes > self.cache_bytes || kept.set(image.clone()).is_err() {
                self.kept_bytes.fetch_sub(bytes, Ordering::Relaxed);
            }
        }
        Ok(image)
    }
}
