//! `[source]` as configured to the source that does it.

use std::path::{Path, PathBuf};

use clip_pipeline::config::fetch::FetchConfig;
use clip_pipeline::config::source::SourceConfig;
use clip_pipeline::{Result, Source};

use crate::feed::{FeedSource, files};
use crate::folder::{Folder, Shards};
use crate::sets::{Coco, VisualGenome};
use crate::tables::{Wit, Yfcc};
use crate::wat::{Archives, Kind};
use crate::{ListSource, WebSource};

/// Opens a source; paths are relative to `base`, the folder of the pipeline's file.
///
/// # Errors
/// When a path names nothing or a setting cannot work, before anything is read.
pub fn source(config: &SourceConfig, fetch: &FetchConfig, base: &Path) -> Result<Box<dyn Source>> {
    Ok(match config {
        SourceConfig::Web(web) => Box::new(WebSource::new(web, fetch)?),
        SourceConfig::List(list) => Box::new(ListSource::new(list, base)?),
        SourceConfig::Wat(archive) => {
            let files = files(&archive.paths, base, &[".wat.gz"])?;
            Box::new(FeedSource(Archives::new(Kind::Wat, &files, archive.part_bytes)?))
        }
        SourceConfig::Warc(archive) => {
            let files = files(&archive.paths, base, &[".warc.gz"])?;
            Box::new(FeedSource(Archives::new(Kind::Warc, &files, archive.part_bytes)?))
        }
        SourceConfig::Folder(folder) => {
            Box::new(FeedSource(Folder::new(&folder.paths, base, &folder.json_key)?))
        }
        SourceConfig::Webdataset(shards) => {
            let files = files(&shards.paths, base, &[".tar"])?;
            Box::new(FeedSource(Shards { files, json_key: shards.json_key.clone() }))
        }
        SourceConfig::Coco(set) => {
            Box::new(FeedSource(Coco { files: files(&set.paths, base, &[".json", ".json.gz"])? }))
        }
        SourceConfig::VisualGenome(genome) => Box::new(FeedSource(VisualGenome {
            regions: base.join(&genome.regions),
            images: base.join(&genome.images),
        })),
        SourceConfig::Yfcc100m(set) => Box::new(FeedSource(Yfcc {
            files: files(&set.paths, base, &[".tsv", ".gz", "dataset"])?,
        })),
        SourceConfig::Wit(set) => {
            Box::new(FeedSource(Wit { files: files(&set.paths, base, &[".tsv", ".tsv.gz"])? }))
        }
    })
}

/// The files and folders that a source reads, for its stage's fingerprint; a crawl of the web reads none.
pub fn inputs(config: &SourceConfig, base: &Path) -> Result<Vec<PathBuf>> {
    let paths = match config {
        SourceConfig::Web(_) => return Ok(Vec::new()),
        SourceConfig::VisualGenome(genome) => {
            return Ok(vec![base.join(&genome.regions), base.join(&genome.images)]);
        }
        SourceConfig::List(list) => &list.paths,
        SourceConfig::Wat(archive) | SourceConfig::Warc(archive) => &archive.paths,
        SourceConfig::Folder(corpus) | SourceConfig::Webdataset(corpus) => &corpus.paths,
        SourceConfig::Coco(set) | SourceConfig::Yfcc100m(set) | SourceConfig::Wit(set) => {
            &set.paths
        }
    };
    let mut inputs = Vec::new();
    for path in paths {
        let path = base.join(path);
        if path.is_dir() {
            inputs.push(path);
        } else {
            inputs.extend(files(std::slice::from_ref(&path), Path::new(""), &[])?);
        }
    }
    Ok(inputs)
}
