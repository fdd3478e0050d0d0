//! Shards of a few pairs, for tests of what reads them.

use std::path::Path;

use clip_corpus::{Sample, ShardWriter};
use clip_image::{Rgb, encode_png};

/// Writes `00000.tar` of `count` pairs; every fourth has a text that others have, too.
///
/// # Errors
/// When it cannot be written.
pub fn write_pairs(
    folder: &Path,
    count: usize,
    image: &dyn Fn(usize) -> Vec<u8>,
) -> anyhow::Result<()> {
    let mut shard = ShardWriter::create(&folder.join("00000.tar"))?;
    for i in 0..count {
        let text = format!("a thing number {}", if i % 4 == 0 { 0 } else { i });
        let fields = vec![("png".to_owned(), image(i)), ("txt".to_owned(), text.into_bytes())];
        shard.write(&Sample { key: format!("{i:05}"), fields })?;
    }
    shard.finish()?;
    Ok(())
}

/// The same with images of 20 x 16 pixels and one colour each.
///
/// # Errors
/// When it cannot be written.
pub fn write_coloured_pairs(folder: &Path, count: usize) -> anyhow::Result<()> {
    let colour = |i: usize| [(i * 37 % 256) as u8, (i * 91 % 256) as u8, (i * 53 % 256) as u8];
    // Encoding plain pixels in memory does not fail.
    write_pairs(folder, count, &|i| encode_png(&Rgb::filled(20, 16, colour(i))).unwrap_or_default())
}
