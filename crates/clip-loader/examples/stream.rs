//! What a streamed corpus costs one node of several; `scripts/bench_stream` runs it.
//!
//!     stream SHARDS COUNTS BATCH NODES RANK STEPS
//!
//! Opens the shards with the counts that are kept in a file, and loads the rank's rows of N
//! steps (0 for a whole pass). Prints seconds, bytes read and peak memory as JSON.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clip_loader::{
    Augment, CaptionKeys, Loader, LoaderOptions, RowMemory, Sampler, ShardStream, Source,
    StreamOptions,
};

/// A number of a file of `/proc/self`.
fn number(file: &str, key: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [shards, counts, batch, nodes, rank, steps] = args.as_slice() else {
        return Err("usage: stream SHARDS COUNTS BATCH NODES RANK STEPS".into());
    };
    let options = StreamOptions {
        context: 77,
        side: 16,
        weight_column: None,
        caption_keys: CaptionKeys::default(),
        window: Some(8),
        resampled: false,
        cache: None,
        counts: Some(PathBuf::from(counts)),
    };
    let source = Source { spec: shards.clone(), weight: 1.0 };
    let started = Instant::now();
    let stream = Arc::new(ShardStream::open(&[source], options)?);
    let opened = started.elapsed().as_secs_f64();
    let read = number("io", "rchar:");
    let sampler = stream.sampler(0, batch.parse()?, 1, None)?;
    let streams = sampler.streams();
    let loader = LoaderOptions {
        size: 4,
        augment: Augment::None,
        share: (rank.parse()?, nodes.parse()?),
        ..LoaderOptions::default()
    };
    let steps = match steps.parse()? {
        0 => sampler.epochs().steps(),
        steps => steps,
    };
    let mut loader = Loader::start(&Sampler::Streamed(sampler), &loader, 0, RowMemory::of_bytes)?;
    let mut first = None;
    for _ in 0..steps {
        loader.next_batch(&mut |_| false)?;
        first.get_or_insert_with(|| started.elapsed().as_secs_f64());
    }
    println!(
        "{}",
        serde_json::json!({
            "shards": stream.shards(),
            "pairs": stream.len(),
            "counted": stream.counted(),
            "streams": streams,
            "opened_s": opened,
            "first_batch_s": first,
            "read_bytes": number("io", "rchar:") - read,
            "peak_mb": number("status", "VmHWM:") / 1024,
        })
    );
    Ok(())
}
