//! How many samples a second the loader gives: `scripts/bench_train` holds it beside open_clip's.
//!
//!     loader SHARDS SIDE BATCH THREADS STEPS

use std::sync::Arc;
use std::time::Instant;

use clip_torch::tch::Device;
use clip_train::{Corpus, CorpusOptions, EpochSampler, Identity, Loader, LoaderOptions, Source};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [shards, side, batch, threads, steps] = args.as_slice() else {
        return Err("usage: loader SHARDS SIDE BATCH THREADS STEPS".into());
    };
    let (side, batch, steps): (u32, usize, u64) = (side.parse()?, batch.parse()?, steps.parse()?);
    let source = Source { spec: shards.clone(), weight: 1.0 };
    // Nothing is kept: each image is decoded each time.
    let options = CorpusOptions {
        context: 77,
        side: side * 4 / 3,
        cache_bytes: 0,
        weight_column: None,
        identity: Identity::None,
    };
    let corpus = Arc::new(Corpus::open(&[source], &options)?);
    let epochs = (steps * batch as u64).div_ceil(corpus.len() as u64);
    let plan = EpochSampler::new(&corpus, 0, batch, epochs)?;
    let options = LoaderOptions {
        size: side,
        augment: "rrc(0.9,1)".parse()?,
        preprocess: clip_model::PreprocessCfg::default(),
        seed: 0,
        threads: threads.parse()?,
        share: (0, 1),
        device: Device::Cpu,
    };
    let mut loader = Loader::start(&corpus, &plan, &options, 0)?;
    let started = Instant::now();
    let mut samples = 0;
    for _ in 0..steps {
        samples += loader.next_batch(&mut |_| false)?.map_or(0, |batch| batch.len);
    }
    println!("{:.1}", samples as f64 / started.elapsed().as_secs_f64());
    Ok(())
}
