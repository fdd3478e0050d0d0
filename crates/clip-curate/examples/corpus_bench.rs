//! Measures one task on one thread (or as many as `RAYON_NUM_THREADS` says) and prints items a
//! second; what `scripts/bench_corpus` runs beside the Python tools.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clip_corpus::{Sample, ShardReader, ShardWriter};
use clip_image::{DecodeOptions, Filter, decode, hash, near_pairs, resize};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (items, seconds) = match args.as_slice() {
        ["phash", tar] => phash(Path::new(tar), None)?,
        ["phash-fast", tar] => phash(Path::new(tar), Some(hash::FAST_SIDE))?,
        ["join", hashes, radius] => join(Path::new(hashes), radius.parse()?)?,
        ["write", tar, out] => write(Path::new(tar), Path::new(out))?,
        ["read", tar] => read(Path::new(tar))?,
        ["decode", tar] => decoded(Path::new(tar))?,
        _ => {
            return Err("usage: corpus_bench phash|phash-fast|read|decode TAR | join HASHES RADIUS | write TAR OUT".into());
        }
    };
    println!("{items} items, {seconds:.4} seconds, {:.1} a second", items as f64 / seconds);
    Ok(())
}

type Measured = Result<(u64, f64)>;

fn samples(tar: &Path) -> Result<Vec<Sample>> {
    Ok(ShardReader::open(tar)?.collect::<clip_corpus::Result<_>>()?)
}

/// Encoded images to pHash, files in memory.
fn phash(tar: &Path, min_side: Option<u32>) -> Measured {
    let samples = samples(tar)?;
    let options = DecodeOptions { min_side, ..DecodeOptions::stored() };
    let start = Instant::now();
    let mut count = 0;
    for sample in &samples {
        if let Some((_, bytes)) = sample.image() {
            black_box(hash::phash(&decode(bytes, &options)?));
            count += 1;
        }
    }
    Ok((count, start.elapsed().as_secs_f64()))
}

/// All pairs within the radius among hashes in hex, one a line; prints how many there are.
fn join(hashes: &Path, radius: u32) -> Measured {
    let text = std::fs::read_to_string(hashes)?;
    let hashes: Vec<u64> = text
        .lines()
        .map(|line| u64::from_str_radix(line, 16))
        .collect::<std::result::Result<_, _>>()?;
    let start = Instant::now();
    let pairs = near_pairs(&hashes, radius);
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("{} pairs", pairs.len());
    Ok((hashes.len() as u64, seconds))
}

/// Samples in memory to a shard, with its hash and index, synced to disk.
fn write(tar: &Path, out: &Path) -> Measured {
    let samples = samples(tar)?;
    // A new file, as shards are: giving back the pages of an old one takes a tenth of the time.
    if out.exists() {
        std::fs::remove_file(out)?;
    }
    let start = Instant::now();
    let mut writer = ShardWriter::create(out)?;
    for sample in &samples {
        writer.write(sample)?;
    }
    let info = writer.finish()?;
    std::fs::write(PathBuf::from(out).with_extension("idx"), info.index.to_text())?;
    Ok((samples.len() as u64, start.elapsed().as_secs_f64()))
}

fn read(tar: &Path) -> Measured {
    let start = Instant::now();
    let mut count = 0;
    for sample in ShardReader::open(tar)? {
        black_box(sample?);
        count += 1;
    }
    Ok((count, start.elapsed().as_secs_f64()))
}

/// Samples to 256 x 256 pixels, as a loader takes them.
fn decoded(tar: &Path) -> Measured {
    let start = Instant::now();
    let mut count = 0;
    for sample in ShardReader::open(tar)? {
        let sample = sample?;
        let Some((_, bytes)) = sample.image() else { continue };
        let image = decode(bytes, &DecodeOptions::default())?;
        black_box(resize(&image, 256, 256, Filter::Bicubic));
        count += 1;
    }
    Ok((count, start.elapsed().as_secs_f64()))
}
