//! What a run trains on: drawings, a corpus shuffled as a whole, or one that is streamed.

use std::path::Path;
use std::sync::Arc;

use anyhow::ensure;
use clip_cli::torch::Window;
use clip_loader::{
    CaptionKeys, Corpus, CorpusOptions, Identity, ShardStream, Source, StreamOptions, TrainData,
    open_csv,
};
use clip_model::ModelConfig;

use super::Args;
use super::inputs::Inputs;

/// Bytes of local shards up to which they are shuffled as a whole, without `--shuffle-window`.
const WHOLE: u64 = 50_000_000_000;
/// Gigabytes of copies of remote shards.
const CACHE: f64 = 200.0;

/// The training data.
pub fn data(args: &Args, config: &ModelConfig, identity: Identity) -> anyhow::Result<TrainData> {
    let (context, side) =
        (config.text_cfg.context_length as usize, config.vision_cfg.image_size as u32);
    if args.is_synthetic()? {
        let pairs = usize::try_from(args.train_num_samples.unwrap_or(10_000))?;
        return Ok(Arc::new(Corpus::synthetic(pairs, context, side)).into());
    }
    let sources = args.sources()?;
    if let Some(csv) = args.csv()? {
        let corpus = open_csv(&sources, &csv, &corpus_options(args, config)?)?;
        if corpus.skipped() > 0 {
            eprintln!("{} rows have no caption or no path and are skipped", corpus.skipped());
        }
        return Ok(Arc::new(corpus).into());
    }
    if args.is_remote()? || args.is_streamed() || is_large(args, &sources)? {
        ensure!(
            args.copies.is_none(),
            "--copies: the shards are streamed\nhint: --shuffle-window whole, for local shards"
        );
        return streamed(args, config, &sources);
    }
    let options = CorpusOptions { identity, ..corpus_options(args, config)? };
    let mut corpus = Corpus::open(&sources, &options)?;
    super::overlap::set_arm(args, &mut corpus)?;
    let hashed = corpus.hashed_bytes() as f64 / 1e9;
    if hashed >= 1.0 {
        note!("{hashed:.1} GB of shards have no blake3 in a _stats.json and were hashed, once");
    }
    if corpus.skipped() > 0 {
        eprintln!("{} samples have no caption or no image and are skipped", corpus.skipped());
    }
    if corpus.broken_json() > 0 {
        eprintln!(
            "{} samples have a .json that is no JSON; it counts as absent",
            corpus.broken_json()
        );
    }
    Ok(Arc::new(corpus).into())
}

/// Whether local shards are too many bytes to shuffle as a whole unless that is asked for.
fn is_large(args: &Args, sources: &[Source]) -> anyhow::Result<bool> {
    if args.shuffle_window == Some(Window::Whole) {
        return Ok(false);
    }
    let mut bytes = 0;
    for source in sources {
        for path in clip_corpus::expand(&source.spec)? {
            // What is not there is named when it is opened.
            bytes += std::fs::metadata(path).map_or(0, |status| status.len());
        }
    }
    Ok(bytes > WHOLE)
}

fn streamed(args: &Args, config: &ModelConfig, sources: &[Source]) -> anyhow::Result<TrainData> {
    let CorpusOptions { context, weight_column, caption_keys, .. } = corpus_options(args, config)?;
    let window = match args.shuffle_window {
        Some(Window::Shards(shards)) => Some(shards),
        // Refused where shards are streamed.
        Some(Window::Whole) | None => None,
    };
    let named = (format!("{sources:?}"), std::env::current_dir()?);
    let hash = blake3::hash(format!("{named:?}").as_bytes()).to_hex();
    let counts = format!("train-counts/{}.jsonl", &hash[..16]);
    let folder = args.cache_dir.clone().or_else(|| clip_corpus::cache_folder("train-shards"));
    let limit = (args.cache_limit.unwrap_or(CACHE) * 1e9) as u64;
    let options = StreamOptions {
        context,
        side: least_side(config),
        weight_column,
        caption_keys,
        window,
        resampled: args.dataset_resampled,
        cache: folder.map(|folder| (folder, limit)),
        counts: clip_corpus::cache_folder(&counts),
    };
    if let Some(folder) = options.counts.as_deref().and_then(Path::parent) {
        std::fs::create_dir_all(folder)?;
    }
    let stream = ShardStream::open(sources, options)?;
    let (counted, shards, window) = (stream.counted(), stream.shards(), stream.window());
    let pairs = stream.len() * window.min(shards) as u64 / shards.max(1) as u64;
    note!(
        "windows of {window} shards, some {pairs} pairs, are shuffled; {counted} of {shards} shards were counted"
    );
    Ok(TrainData::Streamed(Arc::new(stream)))
}

/// A third more pixels than the model sees leave room for crops and turns.
fn least_side(config: &ModelConfig) -> u32 {
    config.vision_cfg.image_size as u32 * 4 / 3
}

/// How a corpus is indexed.
pub fn corpus_options(args: &Args, config: &ModelConfig) -> anyhow::Result<CorpusOptions> {
    Ok(CorpusOptions {
        context: config.text_cfg.context_length as usize,
        side: Some(least_side(config)),
        cache_bytes: args.cache_mb.unwrap_or(2000).saturating_mul(1_000_000),
        weight_column: args.weight_column.clone(),
        caption_keys: args.caption_keys()?,
        identity: Identity::None,
    })
}

/// Held-out pairs, for [`super::score::Scorer`].
pub fn held_out(spec: &str, args: &Args, config: &ModelConfig) -> anyhow::Result<Arc<Corpus>> {
    let source = Source { spec: spec.to_owned(), weight: 1.0 };
    let caption_keys = CaptionKeys::default();
    let options = corpus_options(args, config)?;
    let options = CorpusOptions { side: None, weight_column: None, caption_keys, ..options };
    let mut corpus = Corpus::open(&[source], &options)?;
    if let Some(most) = args.val_num_samples {
        corpus.truncate(most);
    }
    Ok(Arc::new(corpus))
}
