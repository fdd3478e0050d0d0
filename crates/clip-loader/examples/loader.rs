//! How many samples a second the loader gives: `scripts/bench_train` holds it beside open_clip's.
//!
//!     loader SHARDS SIDE BATCH THREADS STEPS [WINDOW [CACHE MB]]
//!
//! With a window the shards are streamed, remote ones through a cache of that many megabytes.

use std::sync::Arc;
use std::time::Instant;

use clip_loader::{
    CaptionKeys, Corpus, CorpusOptions, Identity, Loader, LoaderOptions, RowMemory, ShardStream,
    Source, StreamOptions, TrainData,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [shards, side, batch, threads, steps, stream @ ..] = args.as_slice() else {
        return Err("usage: loader SHARDS SIDE BATCH THREADS STEPS [WINDOW [CACHE MB]]".into());
    };
    let (side, batch, steps): (u32, usize, u64) = (side.parse()?, batch.parse()?, steps.parse()?);
    let source = Source { spec: shards.clone(), weight: 1.0 };
    let (context, side_kept) = (77, side * 4 / 3);
    let data: TrainData = if let [window, cache @ ..] = stream {
        let cache = match cache {
            [folder, megabytes] => Some((folder.into(), megabytes.parse::<u64>()? * 1_000_000)),
            _ => None,
        };
        let options = StreamOptions {
            context,
            side: side_kept,
            weight_column: None,
            caption_keys: CaptionKeys::default(),
            window: Some(window.parse()?),
            resampled: false,
            cache,
            counts: None,
        };
        TrainData::Streamed(Arc::new(ShardStream::open(&[source], options)?))
    } else {
        // Nothing is kept: each image is decoded each time.
        let options = CorpusOptions {
            context,
            side: Some(side_kept),
            cache_bytes: 0,
            weight_column: None,
            caption_keys: CaptionKeys::default(),
            identity: Identity::None,
        };
        Arc::new(Corpus::open(&[source], &options)?).into()
    };
    let epochs = (steps * batch as u64).div_ceil(data.pairs());
    let plan = data.sampler(0, batch, epochs, None)?;
    let options = LoaderOptions {
        size: side,
        augment: "rrc(0.9,1)".parse()?,
        threads: threads.parse()?,
        ..LoaderOptions::default()
    };
    let mut loader = Loader::start(&plan, &options, 0, RowMemory::of_bytes)?;
    let started = Instant::now();
    let mut samples = 0;
    for _ in 0..steps {
        samples += loader.next_batch(&mut |_| false)?.map_or(0, |batch| batch.texts.len());
    }
    println!("{:.1}", samples as f64 / started.elapsed().as_secs_f64());
    Ok(())
}
