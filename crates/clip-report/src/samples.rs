//! Images of a corpus with their captions.

use std::path::{Path, PathBuf};

use clip_corpus::ShardReader;

use crate::image::image_tag;
use crate::markup::escape;
use crate::{Error, Result, Section};

/// `most` samples, evenly spread over the shards of a folder.
pub fn samples(shards: &Path, most: usize) -> Result<Section> {
    let entries = std::fs::read_dir(shards).map_err(|e| Error::file(shards, e))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut tars: Vec<PathBuf> = paths.filter(|path| clip_corpus::is_shard(path)).collect();
    tars.sort();
    let mut count = 0;
    for tar in &tars {
        count += ShardReader::open(tar)?.count();
    }
    let step = count.div_ceil(most.max(1)).max(1);
    let mut html = String::new();
    let mut at = 0;
    for tar in &tars {
        for sample in ShardReader::open(tar)? {
            let sample = sample?;
            at += 1;
            if (at - 1) % step != step / 2 {
                continue;
            }
            let Some((_, bytes)) = sample.image() else { continue };
            let caption = String::from_utf8_lossy(sample.get("txt").unwrap_or_default());
            html.push_str(&format!(
                "<figure>{}<figcaption>{}</figcaption></figure>\n",
                image_tag(bytes),
                escape(&caption)
            ));
        }
    }
    let about = "Pairs of the corpus, evenly spread over its shards.";
    Ok(Section::new("Samples", about).images(&html))
}
