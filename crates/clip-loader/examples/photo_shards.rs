//! Shards of JPEGs with captions, to measure loaders on: `scripts/bench_stream`.
//!
//!     photo_shards FOLDER SHARDS PAIRS [WIDTH HEIGHT QUALITY]

use std::path::Path;

use clip_corpus::{Sample, ShardWriter};
use clip_image::{Filter, Rgb, encode_jpeg, resize};

/// Coarse colours made smooth, with fine grain: of 640 x 480 some 100 KB as a JPEG of quality 90.
fn photo(number: u64, width: u32, height: u32) -> Rgb {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    let coarse = Rgb { width: 40, height: 30, data: (0..40 * 30 * 3).map(|_| byte()).collect() };
    let mut smooth = resize(&coarse, width, height, Filter::Bicubic);
    for value in &mut smooth.data {
        *value = value.saturating_add(byte() % 24);
    }
    smooth
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, shards, pairs, image @ ..] = args.as_slice() else {
        return Err("usage: photo_shards FOLDER SHARDS PAIRS [WIDTH HEIGHT QUALITY]".into());
    };
    let (width, height, quality) = match image {
        [width, height, quality] => (width.parse()?, height.parse()?, quality.parse()?),
        _ => (640, 480, 90),
    };
    let (shards, pairs): (u64, u64) = (shards.parse()?, pairs.parse()?);
    std::fs::create_dir_all(folder)?;
    for shard in 0..shards {
        let mut writer = ShardWriter::create(&Path::new(folder).join(format!("{shard:05}.tar")))?;
        for number in shard * pairs..(shard + 1) * pairs {
            let jpeg = encode_jpeg(&photo(number, width, height), quality)?;
            let caption = format!("a photograph of thing number {number}").into_bytes();
            let fields = vec![("jpg".to_owned(), jpeg), ("txt".to_owned(), caption)];
            writer.write(&Sample { key: format!("{number:08}"), fields })?;
        }
        writer.finish()?;
    }
    Ok(())
}
