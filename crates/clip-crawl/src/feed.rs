//! Sources that read files: a unit of a file is a part, its pairs stream through.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use clip_pipeline::{Context, Error, PartSink, Reject, Result, Source, row_id};
use clip_store::is_remote;
use flate2::bufread::MultiGzDecoder;

use crate::normal::normal_url;
use crate::rows::{Pair, batch};

pub(crate) const STAGE: &str = "collect";
/// Pairs that are given on at a time.
const BATCH: usize = 8192;

/// What a reader gives for one line, record or file.
pub(crate) enum Item {
    /// A pair.
    Pair(Pair),
    /// Something that should have been one: address, caption, reason, detail.
    Fell(String, String, &'static str, String),
    /// A stretch of a file that could not be read, with its place and the reason; what follows it is read.
    Lost(String),
}

/// Takes items; says whether more are wanted.
pub(crate) type Visit<'a> = dyn FnMut(Item) -> Result<bool> + 'a;

/// Reads units, one a part.
pub(crate) trait Feed: Send + Sync {
    /// Number of units.
    fn units(&self) -> Result<usize>;
    /// Gives the items of a unit, in the order in which they stand.
    fn each(&self, unit: usize, visit: &mut Visit) -> Result<()>;
    /// Whether its URLs are of files here, made by [`crate::local::address`]. Any other feed passes on what a list,
    /// an archive or a page says, which must not name a file.
    fn local(&self) -> bool {
        false
    }
}

/// A feed as a source: addresses are normalised, rows numbered.
pub(crate) struct FeedSource<F>(pub F);

impl<F: Feed> Source for FeedSource<F> {
    fn parts(&self) -> Result<usize> {
        self.0.units()
    }

    fn read(&self, part: usize, out: &mut PartSink, cx: &Context) -> Result<()> {
        let mut index = 0;
        // A batch numbers its rows in a run, so a row that falls ends the batch.
        let mut pairs: Vec<Pair> = Vec::new();
        self.0.each(part, &mut |item| {
            let fell = match item {
                Item::Pair(mut pair) => {
                    let url =
                        if self.0.local() { Some(pair.url.clone()) } else { normal_url(&pair.url) };
                    if let Some(url) = url {
                        pair.url = url;
                        pairs.push(pair);
                        None
                    } else {
                        let detail = format!("{:?} is no address", pair.url);
                        Some((pair.url, pair.caption, "bad_url", detail))
                    }
                }
                Item::Fell(url, caption, reason, detail) => Some((url, caption, reason, detail)),
                Item::Lost(detail) => {
                    cx.note(format!("warning: {detail}"));
                    Some((String::new(), String::new(), "damaged", detail))
                }
            };
            if let Some((url, caption, reason, detail)) = fell {
                flush(part, &mut index, &mut pairs, out, cx)?;
                let (uid, reason) = (clip_corpus::uid(&url, &caption), reason.to_owned());
                out.reject(Reject { row: row_id(part, index), uid, url, caption, reason, detail })?;
                index += 1;
            } else if pairs.len() == BATCH {
                flush(part, &mut index, &mut pairs, out, cx)?;
            }
            Ok(!cx.cancelled())
        })?;
        let empty = index == 0 && pairs.is_empty();
        if empty {
            return out.keep(batch(part, 0, &[])?);
        }
        flush(part, &mut index, &mut pairs, out, cx)
    }
}

fn flush(
    part: usize,
    index: &mut usize,
    pairs: &mut Vec<Pair>,
    out: &mut PartSink,
    cx: &Context,
) -> Result<()> {
    if !pairs.is_empty() {
        out.keep(batch(part, *index, pairs)?)?;
        cx.rows(pairs.len() as u64);
        *index += pairs.len();
        pairs.clear();
    }
    Ok(())
}

/// A path of the configuration; addresses stay what they are.
pub(crate) fn located(path: &Path, base: &Path) -> PathBuf {
    if is_remote(&path.to_string_lossy()) { path.to_path_buf() } else { base.join(path) }
}

/// Files that paths name: a folder means its files with one of the endings, a pattern what it matches.
pub(crate) fn files(paths: &[PathBuf], base: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for given in paths {
        let path = located(given, base);
        let text = path.to_string_lossy();
        let mut found: Vec<PathBuf> = if is_remote(&text) {
            clip_corpus::names(&text)?.into_iter().map(PathBuf::from).collect()
        } else if path.is_dir() {
            let entries = std::fs::read_dir(&path).map_err(|e| Error::io(&path, e))?;
            let entries = entries.filter_map(|entry| Some(entry.ok()?.path()));
            entries.filter(|file| endings.iter().any(|end| ends(file, end))).collect()
        } else if path.is_file() {
            vec![path.clone()]
        } else if given.to_string_lossy().contains(['*', '?', '[', '{']) {
            clip_corpus::expand_in(base, &given.to_string_lossy())?
        } else {
            let hint = "hint: source.paths is relative to the pipeline's file";
            return Err(Error::Config(format!("{}: no such file\n{hint}", path.display())));
        };
        found.sort();
        all.append(&mut found);
    }
    if all.is_empty() {
        let endings = endings.join(", ");
        return Err(Error::Config(format!(
            "source.paths names no file\nhint: looked for {endings}"
        )));
    }
    Ok(all)
}

fn ends(path: &Path, ending: &str) -> bool {
    path.to_string_lossy().to_lowercase().ends_with(ending)
}

/// The bytes of a file, here or behind an address, from a place on.
pub(crate) fn bytes(path: &Path, from: u64) -> Result<BufReader<Box<dyn Read + Send>>> {
    let text = path.to_string_lossy();
    let io = |e| Error::io(path, e);
    let bytes: Box<dyn Read + Send> = if is_remote(&text) {
        Box::new(clip_store::open(&text, from).map_err(io)?)
    } else {
        let mut file = File::open(path).map_err(io)?;
        file.seek(SeekFrom::Start(from)).map_err(io)?;
        Box::new(file)
    };
    Ok(BufReader::with_capacity(1 << 18, bytes))
}

/// A file, here or behind an address, as it reads: unpacked when it is gzip, however it is called.
pub(crate) fn open(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    let mut reader = bytes(path, 0)?;
    let gz = reader.fill_buf().map_err(|e| Error::io(path, e))?.starts_with(&[0x1f, 0x8b]);
    Ok(if gz {
        Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(reader)))
    } else {
        Box::new(reader)
    })
}

/// The whole of a file that is small by nature.
pub(crate) fn read_all(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    Ok(bytes)
}

/// A fault in a file, with its place.
pub(crate) fn bad(path: &Path, place: impl std::fmt::Display) -> Error {
    Error::stage(STAGE, format!("{}: {place}", path.display()))
}
