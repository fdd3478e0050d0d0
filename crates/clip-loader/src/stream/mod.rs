//! A corpus that is read as it is trained on: neither its captions nor its shards must fit in
//! memory or on the disk.

mod counts;
mod cursor;
mod order;
mod place;
mod reading;
mod shard;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use clip_corpus::ShardIndex;
use clip_store::DiskCache;
use clip_text::Tokenizer;
use rayon::prelude::*;

use crate::contents::Stamp;
use crate::epochs::passes;
use crate::open_files::OpenFiles;
use crate::{CaptionKeys, Epochs, Error, Result, Source};

use counts::{Count, Counts, count};
pub(crate) use cursor::StreamRows;
use order::{Pass, ShardSize, StreamOrder};
pub(crate) use place::Place;
use shard::WindowSamples;

/// How a corpus is streamed.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// Tokens in a text, start and end included.
    pub context: usize,
    /// Least shorter side, in pixels, that a JPEG is decoded to at 1/2, 1/4 or 1/8.
    pub side: u32,
    /// Column of the Parquet table beside each shard with how often a pair is expected in an epoch.
    pub weight_column: Option<String>,
    /// Where captions are.
    pub caption_keys: CaptionKeys,
    /// Shards that are shuffled together, in each canonical stream; by the corpus where none is
    /// given ([`ShardStream::window`]).
    pub window: Option<usize>,
    /// Whether shards are drawn with replacement in each pass.
    pub resampled: bool,
    /// Where copies of remote shards are kept, and their bytes at most.
    pub cache: Option<(PathBuf, u64)>,
    /// The file that keeps what was counted in the shards.
    pub counts: Option<PathBuf>,
}

/// The shards of a corpus that is streamed.
pub struct ShardStream {
    shards: Vec<Shard>,
    sizes: Arc<Vec<ShardSize>>,
    files: OpenFiles,
    cache: Option<DiskCache>,
    tokenizer: Tokenizer,
    options: StreamOptions,
    window: usize,
    pairs: u64,
    counted: usize,
    digest: String,
}

struct Shard {
    place: Place,
    /// Its source's.
    weight: f64,
    /// Of a file.
    stamp: Option<Stamp>,
    /// Its hash, where its `_stats.json` has one.
    blake3: Option<String>,
}

/// A sample as it was planned.
#[derive(Clone)]
pub(crate) struct StreamSample {
    window: Arc<WindowSamples>,
    at: u32,
    pub text: String,
    /// Why it takes the place of another.
    fault: Option<String>,
}

/// The order of a streamed run.
#[derive(Clone)]
pub struct StreamSampler {
    pub(crate) stream: Arc<ShardStream>,
    order: Arc<StreamOrder>,
    passes: Arc<Vec<u64>>,
    epochs: Epochs,
}

/// Threads that count remote shards: they wait for a server.
const ASKING: usize = 16;

impl ShardStream {
    /// Counts the shards of all sources, each once: what is kept of an earlier start is not counted
    /// again.
    ///
    /// # Errors
    /// When a shard or its table cannot be read, or a shard is not what its `_stats.json` says;
    /// when remote shards have no cache.
    pub fn open(sources: &[Source], options: StreamOptions) -> Result<Self> {
        let mut shards = Vec::new();
        for source in sources {
            for place in Place::all(&source.spec)? {
                let (stamp, weight) = (place.stamp()?, f64::from(source.weight));
                shards.push(Shard { place, weight, stamp, blake3: None });
            }
        }
        let remote = shards.iter().any(|shard| matches!(shard.place, Place::Remote(_)));
        let cache = match &options.cache {
            Some((folder, limit)) if remote => {
                Some(DiskCache::new(folder, *limit).map_err(|e| Error::io(folder, e))?)
            }
            None if remote => {
                return Err(Error::Options("remote shards want a folder for copies".into()));
            }
            _ => None,
        };
        let mut stream = Self {
            shards,
            sizes: Arc::default(),
            files: OpenFiles::new(),
            cache,
            tokenizer: Tokenizer::new(),
            window: options.window.unwrap_or(order::LEAST_SHARDS),
            options,
            pairs: 0,
            counted: 0,
            digest: String::new(),
        };
        let counts = stream.count_all()?;
        stream.know(&counts);
        if stream.pairs == 0 {
            let specs: Vec<_> = sources.iter().map(|source| source.spec.as_str()).collect();
            return Err(Error::Options(format!("{}: no sample in the shards", specs.join("::"))));
        }
        Ok(stream)
    }

    /// Of each shard, what an earlier start has kept, or what is counted now.
    fn count_all(&mut self) -> Result<Vec<Count>> {
        // Of the processes of a machine one counts, and the others read what it has kept.
        let _counting = self.options.counts.as_deref().map(Counts::lock).transpose()?;
        let kept = self.options.counts.as_deref().map(Counts::read).unwrap_or_default();
        let column = self.options.weight_column.as_deref();
        let count = |number: usize| -> Result<(Count, bool)> {
            let Shard { place, stamp, .. } = &self.shards[number];
            let name = place.name();
            if let Some(count) = kept.get(&name, *stamp, column) {
                return Ok((count.clone(), false));
            }
            let scan = || self.on_disk(number as u32, |path, _| Ok(ShardIndex::of(path)?));
            let (samples, blake3) = count(place, *stamp, scan)?;
            let weights = match column {
                Some(column) => {
                    let sum: f64 = self.weights(number as u32)?.iter().sum();
                    Some((column.to_owned(), sum.to_bits()))
                }
                None => None,
            };
            Ok((Count { shard: name, stamp: *stamp, samples, blake3, weights }, true))
        };
        let threads = if self.cache.is_some() { ASKING } else { rayon::current_num_threads() };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|e| Error::Options(e.to_string()))?;
        let all = pool.install(|| {
            (0..self.shards.len()).into_par_iter().map(count).collect::<Result<Vec<_>>>()
        })?;
        let counted = all.iter().filter(|(_, fresh)| *fresh).count();
        let counts: Vec<Count> = all.into_iter().map(|(count, _)| count).collect();
        if let Some(path) = self.options.counts.as_deref().filter(|_| counted > 0) {
            crate::contents::write(path, &counts)?;
        }
        self.counted = counted;
        Ok(counts)
    }

    /// Keeps what was counted.
    fn know(&mut self, counts: &[Count]) {
        let weighted = self.options.weight_column.is_some();
        let mut hasher = blake3::Hasher::new();
        let mut sizes = Vec::with_capacity(counts.len());
        for (shard, count) in self.shards.iter_mut().zip(counts) {
            let own = count.weights.as_ref().filter(|_| weighted);
            let own = own.map_or(f64::from(count.samples), |(_, bits)| f64::from_bits(*bits));
            let uses = shard.weight * own;
            sizes.push(ShardSize { samples: count.samples, uses });
            shard.blake3.clone_from(&count.blake3);
            // A corpus that is not read whole is not hashed: where no `_stats.json` has the hash,
            // a shard is its name in its folder, its length and what was counted.
            match &count.blake3 {
                Some(blake3) => hasher.update(blake3.as_bytes()),
                None => {
                    let name = count.shard.rsplit('/').next().unwrap_or_default();
                    let name = name.split('?').next().unwrap_or_default();
                    let bytes = count.stamp.map_or(0, Stamp::bytes);
                    hasher.update(name.as_bytes()).update(&bytes.to_le_bytes())
                }
            };
            hasher.update(&count.samples.to_le_bytes()).update(&uses.to_le_bytes());
        }
        self.pairs = sizes.iter().map(|size| u64::from(size.samples)).sum();
        self.window = self.options.window.unwrap_or_else(|| order::window(self.pairs, sizes.len()));
        let hash = hasher.finalize().to_hex();
        let resampled = if self.options.resampled { ", resampled" } else { "" };
        let (window, keys) = (self.window, &self.options.caption_keys);
        self.digest = format!("{} in windows of {window}{resampled}", &hash[..16]);
        if !keys.is_empty() {
            self.digest += &format!(", captions {keys}");
        }
        self.sizes = Arc::new(sizes);
    }

    /// The order of a run over it.
    ///
    /// # Errors
    /// When a pass has not one batch of pairs.
    pub fn sampler(
        self: &Arc<Self>,
        seed: u64,
        batch: usize,
        epochs: u64,
        samples: Option<u64>,
    ) -> Result<StreamSampler> {
        let order = StreamOrder {
            seed,
            batch,
            streams: order::streams(batch.max(1), self.shards.len()),
            window: self.window,
            resampled: self.options.resampled,
            sizes: Arc::clone(&self.sizes),
        };
        let plain = |size: &ShardSize| size.uses == f64::from(size.samples);
        // Where each sample comes once, all passes are of one length.
        let same = !order.resampled && order.sizes.iter().all(plain);
        let first = order.pass_size(0);
        let size = |pass| if same { first } else { order.pass_size(pass) };
        let passes = passes(batch, epochs, samples, size)?;
        let epochs = Epochs::new(batch, epochs, samples, &passes);
        let (stream, order, passes) = (Arc::clone(self), Arc::new(order), Arc::new(passes));
        Ok(StreamSampler { stream, order, passes, epochs })
    }

    /// Samples in the shards.
    pub fn len(&self) -> u64 {
        self.pairs
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pairs == 0
    }

    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Shards that had to be counted, for no earlier start had kept them.
    pub fn counted(&self) -> usize {
        self.counted
    }

    /// Shards in a window: those that were asked for, else 8, or as many small ones as hold 80,000
    /// pairs in the windows of all streams.
    pub fn window(&self) -> usize {
        self.window
    }

    /// What the corpus is, and how it is shuffled.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl StreamSampler {
    /// Where epochs begin.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// Canonical streams: the rows of a batch are theirs in equal parts.
    pub fn streams(&self) -> usize {
        self.order.streams
    }

    /// The pass that holds a place of a stream, with where it begins in the whole stream.
    fn pass_at(&self, stream: usize, place: u64) -> (Arc<Pass>, u64) {
        let share = |&before: &u64| self.order.share(before, stream) <= place;
        let number = (self.passes.partition_point(share) - 1).min(self.passes.len() - 2);
        (Arc::new(self.order.pass(number as u64)), self.passes[number])
    }
}
