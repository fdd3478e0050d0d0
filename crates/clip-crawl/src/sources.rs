//! `[source]` as configured to the source that does it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clip_pipeline::config::fetch::FetchConfig;
use clip_pipeline::config::source::SourceConfig;
use clip_pipeline::{Error, Result, Source};
use clip_store::is_remote;

use crate::WebSource;
use crate::archive::{Archives, Kind};
use crate::coco_vg::{Coco, VisualGenome};
use crate::folder::{Folder, Shards};
use crate::list::Lists;
use crate::opt_out::Policy;
use crate::pair_reader::{PairSource, files, located, open};
use crate::yfcc_wit::{Wit, Yfcc};

/// Opens a source; paths are relative to `base`, the folder of the pipeline's file.
///
/// # Errors
/// When a path names nothing or a setting cannot work, before anything is read.
pub fn source(config: &SourceConfig, fetch: &FetchConfig, base: &Path) -> Result<Box<dyn Source>> {
    let policy = || Policy::new(fetch);
    Ok(match config {
        SourceConfig::Web(web) => Box::new(WebSource::new(web, fetch)?),
        SourceConfig::List(list) => Box::new(PairSource(Lists::new(list, base)?)),
        SourceConfig::Wat(archive) => {
            let files = archives(&archive.paths, base, ".wat.gz")?;
            Box::new(PairSource(Archives::new(Kind::Wat, &files, archive.part_bytes, policy())?))
        }
        SourceConfig::Warc(archive) => {
            let files = archives(&archive.paths, base, ".warc.gz")?;
            Box::new(PairSource(Archives::new(Kind::Warc, &files, archive.part_bytes, policy())?))
        }
        SourceConfig::Folder(folder) => Box::new(PairSource(Folder::new(folder, base)?)),
        SourceConfig::Webdataset(shards) => Box::new(PairSource(Shards::new(shards, base)?)),
        SourceConfig::Coco(set) => {
            Box::new(PairSource(Coco { files: files(&set.paths, base, &[".json", ".json.gz"])? }))
        }
        SourceConfig::VisualGenome(genome) => Box::new(PairSource(VisualGenome {
            regions: base.join(&genome.regions),
            images: base.join(&genome.images),
        })),
        SourceConfig::Yfcc100m(set) => Box::new(PairSource(Yfcc {
            files: files(&set.paths, base, &[".tsv", ".gz", "dataset"])?,
        })),
        SourceConfig::Wit(set) => {
            Box::new(PairSource(Wit { files: files(&set.paths, base, &[".tsv", ".tsv.gz"])? }))
        }
    })
}

/// Reads the header of a source's first list file that is here, as a build does first; other kinds
/// of sources have none.
///
/// # Errors
/// For what a build would refuse: columns that the list does not have, or has as lists.
pub fn check_source(config: &SourceConfig, base: &Path) -> Result<()> {
    let SourceConfig::List(list) = config else { return Ok(()) };
    let mut here = list.clone();
    here.paths.retain(|path| !is_remote(&located(path, base).to_string_lossy()));
    Lists::new(&here, base)?.check()
}

/// Archives that paths name; a `.paths` or `.paths.gz` file, as Common Crawl publishes them, names
/// many.
fn archives(paths: &[PathBuf], base: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for file in files(paths, base, &[ending])? {
        let text = file.to_string_lossy();
        if !text.trim_end_matches(".gz").ends_with(".paths") {
            all.push(file);
            continue;
        }
        let read: std::io::Result<()> = clip_guard::read_lines(open(&file)?, |number, line| {
            let invalid = |reason: String| {
                std::io::Error::new(ErrorKind::InvalidData, format!("line {number}: {reason}"))
            };
            let line =
                std::str::from_utf8(line.map_err(invalid)?).map_err(|e| invalid(e.to_string()))?;
            match line.trim() {
                "" => {}
                key if key.starts_with("crawl-data/") => {
                    all.push(format!("s3://commoncrawl/{key}").into());
                }
                path => all.push(located(path.as_ref(), file.parent().unwrap_or(base))),
            }
            Ok(())
        });
        read.map_err(|e| Error::io(&file, e))?;
    }
    Ok(all)
}

/// The files and folders that a source reads, for its stage's fingerprint; a crawl of the web reads
/// none.
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
        let path = located(path, base);
        // What is elsewhere is known by its URL, which the settings have.
        if is_remote(&path.to_string_lossy()) {
            continue;
        }
        if path.is_dir() {
            inputs.push(path);
        } else {
            inputs.extend(files(std::slice::from_ref(&path), Path::new(""), &[])?);
        }
    }
    Ok(inputs)
}
