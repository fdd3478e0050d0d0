//! Sources that read files: a unit of a file is a part, its pairs stream through.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use clip_pipeline::{Context, Error, PartSink, Reject, Result, Source, row_id};
use clip_store::is_remote;
use flate2::bufread::MultiGzDecoder;

use crate::normalize_url::normal_url;
use crate::opt_out::OptOut;
use crate::rows::{More, Pair, STAGE, batch_with};

/// Pairs that are given on at a time.
const BATCH: usize = 8192;
/// Bytes of text after which a batch ends.
pub(crate) const BATCH_BYTES: usize = 32 << 20;

/// What a reader gives for one line, record or file.
pub(crate) enum Item {
    /// A pair.
    Pair(Pair),
    /// A pair with the cells of [`PairReader::columns`]. Its URL is given on as it is.
    With(Pair, More),
    /// Something that should have been one: URL, caption, reason, detail.
    Rejected(String, String, &'static str, String),
    /// A stretch of a file that could not be read, with its place and the reason; what follows it
    /// is read.
    Lost(String),
}

impl Item {
    /// A pair of a page that may have opted out.
    pub fn of_page(opt_out: Option<&OptOut>, pair: Pair) -> Self {
        match opt_out {
            Some(opt_out) => {
                Self::Rejected(pair.url, pair.caption, opt_out.kind.name(), opt_out.message())
            }
            None => Self::Pair(pair),
        }
    }
}

/// Takes items; says whether more are wanted.
pub(crate) type Visit<'a> = dyn FnMut(Item) -> Result<bool> + 'a;

/// Reads units, one a part.
pub(crate) trait PairReader: Send + Sync {
    /// Number of units.
    fn units(&self) -> Result<usize>;
    /// Gives the items of a unit, in the order of the unit.
    fn each(&self, unit: usize, visit: &mut Visit) -> Result<()>;
    /// The columns that its pairs have beside those of every source; a feed that has some gives
    /// [`Item::With`] only.
    fn columns(&self) -> Result<SchemaRef> {
        Ok(Arc::new(Schema::empty()))
    }
}

/// A feed as a source: URLs are normalised, rows numbered.
pub(crate) struct PairSource<F>(pub F);

impl<F: PairReader> Source for PairSource<F> {
    fn parts(&self) -> Result<usize> {
        self.0.units()
    }

    fn read(&self, part: usize, out: &mut PartSink, cx: &Context) -> Result<()> {
        // A batch numbers its rows in a run, so a row that is rejected ends the batch.
        let mut rows = Rows { part, index: 0, pairs: Vec::new(), more: Vec::new() };
        let columns = self.0.columns()?;
        let mut bytes = 0;
        self.0.each(part, &mut |item| {
            let fell = match item {
                Item::Pair(mut pair) => match normal_url(&pair.url) {
                    Some(url) => {
                        pair.url = url;
                        bytes += pair.url.len() + pair.caption.len();
                        rows.pairs.push(pair);
                        None
                    }
                    None => Some(no_url(pair)),
                },
                Item::With(pair, more) => {
                    bytes += pair.url.len() + pair.caption.len();
                    rows.pairs.push(pair);
                    rows.more.push(more);
                    None
                }
                Item::Rejected(url, caption, reason, detail) => {
                    Some((url, caption, reason, detail))
                }
                Item::Lost(detail) => {
                    cx.note(format!("warning: {detail}"));
                    Some((String::new(), String::new(), "damaged", detail))
                }
            };
            if let Some((url, caption, reason, detail)) = fell {
                rows.flush(&columns, out, cx)?;
                let (uid, reason) = (clip_corpus::uid(&url, &caption), reason.to_owned());
                let row = row_id(part, rows.index);
                out.reject(Reject { row, uid, url, caption, reason, detail })?;
                rows.index += 1;
            } else if rows.pairs.len() == BATCH || bytes > BATCH_BYTES {
                bytes = 0;
                rows.flush(&columns, out, cx)?;
            }
            Ok(!cx.cancelled())
        })?;
        if rows.index == 0 && rows.pairs.is_empty() {
            return out.keep(batch_with(part, 0, &[], &[], &columns)?);
        }
        rows.flush(&columns, out, cx)
    }
}

/// The reject of a pair whose URL is none.
pub(crate) fn no_url(pair: Pair) -> (String, String, &'static str, String) {
    let detail = format!("{:?} is no URL", pair.url);
    (pair.url, pair.caption, "bad_url", detail)
}

/// Rows of a part that wait to be given on.
struct Rows {
    part: usize,
    index: usize,
    pairs: Vec<Pair>,
    more: Vec<More>,
}

impl Rows {
    fn flush(&mut self, columns: &SchemaRef, out: &mut PartSink, cx: &Context) -> Result<()> {
        if !self.pairs.is_empty() {
            out.keep(batch_with(self.part, self.index, &self.pairs, &self.more, columns)?)?;
            cx.rows(self.pairs.len() as u64);
            self.index += self.pairs.len();
            self.pairs.clear();
            self.more.clear();
        }
        Ok(())
    }
}

/// A path of the configuration; URLs stay what they are.
pub(crate) fn located(path: &Path, base: &Path) -> PathBuf {
    if is_remote(&path.to_string_lossy()) { path.to_path_buf() } else { base.join(path) }
}

/// Files that paths name: a folder means its files with one of the endings, a pattern what it
/// matches.
pub(crate) fn files(paths: &[PathBuf], base: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for given in paths {
        let path = located(given, base);
        let text = path.to_string_lossy();
        let mut found: Vec<PathBuf> = if is_remote(&text) {
            clip_corpus::names(&text)?.into_iter().map(PathBuf::from).collect()
        } else if path.is_dir() {
            if endings.contains(&".tar") {
                clip_corpus::require_shards(&path)?;
            }
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

/// The bytes of a file, here or behind a URL, from a place on.
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

/// A file, here or behind a URL, as it reads: unpacked when it is gzip, however it is called.
pub(crate) fn open(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    let mut reader = bytes(path, 0)?;
    let gz = reader.fill_buf().map_err(|e| Error::io(path, e))?.starts_with(&[0x1f, 0x8b]);
    Ok(if gz {
        Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(reader)))
    } else {
        Box::new(reader)
    })
}

/// Longest file that is read whole: Visual Genome's regions have 700 MB.
const LONGEST: u64 = 4 << 30;

/// The whole of a file that is small by nature.
pub(crate) fn read_all(path: &Path) -> Result<Vec<u8>> {
    clip_guard::read_whole(open(path)?, LONGEST).map_err(|e| Error::io(path, e))
}

/// Why `source.columns` cannot be.
pub(crate) fn bad_columns(reason: &str) -> Error {
    Error::Config(format!("source.columns: {reason}"))
}

/// A file that is not what the source's kind says: no other try, and no other part, ends otherwise.
pub(crate) fn other_kind(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::Config(format!("{}: {what}", path.display()))
}

/// A fault in a file, with its place.
pub(crate) fn bad(path: &Path, place: impl std::fmt::Display) -> Error {
    Error::stage(STAGE, format!("{}: {place}", path.display()))
}
