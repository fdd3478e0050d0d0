//! Where the items of a set come from: files, shards, rows of raw pixels.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clip_corpus::{Sample, ShardReader};
use flate2::read::{GzDecoder, ZlibDecoder};

use crate::error::read;
use crate::item::{EvalItem, Truth};
use crate::registry::Grouping;
use crate::{Error, Result};

/// A stream of items.
pub(crate) type Items<'a> = Box<dyn Iterator<Item = Result<EvalItem>> + Send + 'a>;

/// An image file and what is true of it.
#[derive(Debug, Clone)]
pub(crate) struct FileItem {
    pub path: PathBuf,
    pub key: String,
    pub truth: Truth,
    pub group: Option<String>,
    pub video: Option<String>,
}

impl FileItem {
    pub(crate) fn new(path: PathBuf, key: String, truth: Truth) -> Self {
        Self { path, key, truth, group: None, video: None }
    }
}

/// How the pixels of a row are in its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Layout {
    /// One byte a pixel.
    Grey,
    /// A plane a channel, rows first.
    Planar,
    /// A plane a channel, columns first (STL-10).
    PlanarColumns,
    /// Three bytes a pixel.
    Interleaved,
}

/// Rows of equal length in a file, each an image; `rows` are those that belong to the set,
/// ascending.
#[derive(Debug, Clone)]
pub(crate) struct RowFile {
    pub path: PathBuf,
    /// Bytes before the first row.
    pub head: u64,
    /// Bytes of a row before its pixels.
    pub lead: usize,
    pub width: u32,
    pub height: u32,
    pub layout: Layout,
    /// Row and class.
    pub rows: Vec<(u64, usize)>,
    /// What the keys begin with.
    pub prefix: String,
}

/// What a shard's member `.cls`, `.npy` or `.txt` means.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Member {
    Class(usize),
    /// A class, with metadata in `.npy` of which a field is the group.
    Grouped(usize, &'static Grouping),
    Marks(usize),
    /// Captions, one a line.
    Captions,
    /// The caption of a pair.
    Caption,
}

fn is_sampled(at: usize, limit: u64, total: u64) -> bool {
    let first = |at: u64| (u128::from(at) * u128::from(limit)).div_ceil(u128::from(total.max(1)));
    first(at as u64) < first(at as u64 + 1)
}

/// `limit` of the `total` items, evenly; a failure is passed on wherever it is.
pub(crate) fn evenly(items: Items<'_>, limit: u64, total: u64) -> Items<'_> {
    let kept =
        items.enumerate().filter(move |(at, item)| item.is_err() || is_sampled(*at, limit, total));
    Box::new(kept.map(|(_, item)| item))
}

impl RowFile {
    fn key(&self, row: u64) -> String {
        format!("{}{row:05}", self.prefix)
    }
}

#[derive(Clone)]
pub(crate) enum Source {
    Files(Arc<Vec<FileItem>>),
    Shards(Vec<PathBuf>, Member),
    Rows(Vec<RowFile>),
    /// Rows of what is packed by zlib from this byte of the file on.
    Packed(u64, RowFile),
    Hdf5(crate::load::pcam::Arrays),
    Table(crate::load::fer2013::Table),
}

impl Source {
    pub(crate) fn files(items: Vec<FileItem>) -> Self {
        Self::Files(Arc::new(items))
    }

    pub(crate) fn items(&self) -> Items<'_> {
        match self {
            Self::Files(files) => Box::new(files.iter().map(file_item)),
            Self::Shards(shards, member) => Box::new(shards.iter().flat_map(|s| shard(s, *member))),
            Self::Rows(files) => {
                Box::new(files.iter().flat_map(|file| rows(file, stream(&file.path, file.head))))
            }
            Self::Packed(at, file) => rows(file, unpacked(file, *at)),
            Self::Hdf5(arrays) => arrays.items(),
            Self::Table(table) => table.items(),
        }
    }

    /// The same with the groups of a dataset whose metadata is known.
    pub(crate) fn grouped(self, groups: Option<&'static Grouping>) -> Self {
        match (self, groups) {
            (Self::Shards(shards, Member::Class(classes)), Some(groups)) => {
                Self::Shards(shards, Member::Grouped(classes, groups))
            }
            (source, _) => source,
        }
    }

    /// `limit` of the `total` items, evenly over the set: those at `i * total / limit`. Files of
    /// others are not read.
    pub(crate) fn sampled(&self, limit: u64, total: u64) -> Items<'_> {
        let keep = move |at: usize| is_sampled(at, limit, total);
        match self {
            Self::Files(files) => {
                let kept = files.iter().enumerate().filter(move |(at, _)| keep(*at));
                Box::new(kept.map(|(_, file)| file_item(file)))
            }
            _ => evenly(self.items(), limit, total),
        }
    }

    /// The keys of the items in order, where they are known without reading the items.
    pub(crate) fn keys(&self) -> Option<Vec<String>> {
        match self {
            Self::Files(files) => Some(files.iter().map(|file| file.key.clone()).collect()),
            Self::Rows(files) => {
                let keys = |file: &RowFile| -> Vec<String> {
                    file.rows.iter().map(|(row, _)| file.key(*row)).collect()
                };
                Some(files.iter().flat_map(keys).collect())
            }
            _ => None,
        }
    }

    /// Leaves out the items that `keep` does not name, where keys are known without reading.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        match self {
            Self::Files(files) => {
                let kept = files.iter().filter(|file| keep(&file.key)).cloned().collect();
                *files = Arc::new(kept);
            }
            Self::Rows(files) => {
                for file in files {
                    let mut rows = std::mem::take(&mut file.rows);
                    rows.retain(|(row, _)| keep(&file.key(*row)));
                    file.rows = rows;
                }
            }
            _ => {}
        }
    }

    /// The number of items, where it is known without reading them.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Self::Files(files) => Some(files.len() as u64),
            Self::Shards(..) => None,
            Self::Rows(files) => Some(files.iter().map(|f| f.rows.len() as u64).sum()),
            Self::Packed(_, file) => Some(file.rows.len() as u64),
            Self::Hdf5(arrays) => Some(arrays.len()),
            Self::Table(table) => Some(table.len()),
        }
    }
}

fn file_item(item: &FileItem) -> Result<EvalItem> {
    Ok(EvalItem {
        key: item.key.clone(),
        image: read(&item.path)?,
        truth: item.truth.clone(),
        group: item.group.clone(),
        video: item.video.clone(),
    })
}

fn shard(path: &Path, member: Member) -> Items<'_> {
    match ShardReader::open(path) {
        Ok(reader) => Box::new(reader.map(move |sample| shard_item(path, sample?, member))),
        Err(error) => Box::new(std::iter::once(Err(error.into()))),
    }
}

fn shard_item(shard: &Path, sample: Sample, member: Member) -> Result<EvalItem> {
    let bad = |reason: &str| Error::item(shard, &sample.key, reason);
    let mut group = None;
    let truth = match member {
        Member::Class(classes) | Member::Grouped(classes, _) => {
            let label = sample.get("cls").and_then(|bytes| std::str::from_utf8(bytes).ok());
            let label = label.and_then(|text| text.trim().parse::<usize>().ok());
            let label = label.ok_or_else(|| bad("no class number in .cls"))?;
            if label >= classes {
                let reason = format!("class {label} of {classes}: are labels counted from 1?");
                return Err(bad(&reason));
            }
            // WILDS sets have their metadata next to the class.
            if let Some(bytes) = sample.get("npy") {
                let row = clip_format::npy::numbers(bytes).map_err(|reason| bad(&reason))?;
                group = match (member, row.as_slice()) {
                    (Member::Grouped(_, groups), row) => {
                        Some(groups.of(row).map_err(|reason| bad(&reason))?)
                    }
                    (_, [group]) => Some(group.to_string()),
                    // Of several fields that nothing names, none is the group.
                    _ => None,
                };
            }
            Truth::Class(label)
        }
        Member::Marks(classes) => {
            let bytes = sample.get("npy").ok_or_else(|| bad("no .npy"))?;
            let marks = clip_format::npy::numbers(bytes).map_err(|reason| bad(&reason))?;
            if marks.len() != classes {
                return Err(bad(&format!("{} marks for {classes} classes", marks.len())));
            }
            Truth::Marks(marks.iter().map(|&m| if m > 0.0 { 1 } else { -1 }).collect())
        }
        Member::Captions | Member::Caption => {
            let bytes = sample.get("txt").ok_or_else(|| bad("no .txt"))?;
            let text = std::str::from_utf8(bytes).map_err(|_| bad("captions are not UTF-8"))?;
            let lines = || text.lines().map(str::to_owned).collect();
            match (member, text.trim()) {
                (Member::Caption, "") => return Err(bad("the caption is empty")),
                (Member::Caption, one) => Truth::Captions(vec![one.to_owned()]),
                _ => Truth::Captions(lines()),
            }
        }
    };
    let (_, image) = sample.image().ok_or_else(|| bad("no image"))?;
    // Keys of a corpus count in their shard alone.
    let shard = shard.file_stem().unwrap_or_default().to_string_lossy();
    let key = match member {
        Member::Caption => format!("{shard}/{}", sample.key),
        _ => sample.key.clone(),
    };
    Ok(EvalItem { key, image: image.to_vec(), truth, group, video: None })
}

/// A reader that unpacks what ends in `.gz`.
pub(crate) fn stream(path: &Path, skip: u64) -> Result<Box<dyn Read + Send>> {
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    if is_gzip(path) {
        let mut reader = GzDecoder::new(BufReader::with_capacity(1 << 20, file));
        pass(&mut reader, skip).map_err(|e| Error::io(path, e))?;
        return Ok(Box::new(reader));
    }
    file.seek(SeekFrom::Start(skip)).map_err(|e| Error::io(path, e))?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, file)))
}

pub(crate) fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "gz")
}

/// What is packed from a byte of a row file on, at the first row.
fn unpacked(file: &RowFile, at: u64) -> Result<Box<dyn Read + Send>> {
    let mut reader = ZlibDecoder::new(stream(&file.path, at)?);
    pass(&mut reader, file.head).map_err(|e| Error::io(&file.path, e))?;
    Ok(Box::new(reader))
}

fn pass(reader: &mut impl Read, bytes: u64) -> std::io::Result<u64> {
    std::io::copy(&mut reader.take(bytes), &mut std::io::sink())
}

fn rows(file: &RowFile, reader: Result<Box<dyn Read + Send>>) -> Items<'_> {
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(error) => return Box::new(std::iter::once(Err(error))),
    };
    let channels = if matches!(file.layout, Layout::Grey) { 1 } else { 3 };
    let pixels = file.width as usize * file.height as usize * channels;
    let stride = file.lead + pixels;
    let mut next = 0u64;
    Box::new(file.rows.iter().map(move |&(row, class)| {
        let failed = |e: std::io::Error| Error::file(&file.path, format!("row {row}: {e}"));
        let skip = (row - next) * stride as u64 + file.lead as u64;
        pass(&mut reader, skip).map_err(failed)?;
        let mut bytes = vec![0; pixels];
        reader.read_exact(&mut bytes).map_err(failed)?;
        next = row + 1;
        let key = file.key(row);
        let image = netpbm(&bytes, file.width, file.height, file.layout);
        Ok(EvalItem::new(key, image, Truth::Class(class)))
    }))
}

/// Raw pixels as an image that any decoder knows, without loss: PGM or PPM.
pub(crate) fn netpbm(bytes: &[u8], width: u32, height: u32, layout: Layout) -> Vec<u8> {
    let kind = if matches!(layout, Layout::Grey) { 5 } else { 6 };
    let mut image = format!("P{kind}\n{width} {height}\n255\n").into_bytes();
    let (w, h) = (width as usize, height as usize);
    match layout {
        Layout::Grey | Layout::Interleaved => image.extend_from_slice(bytes),
        Layout::Planar => {
            let plane = w * h;
            image.extend((0..plane).flat_map(|p| [0, 1, 2].map(|c| bytes[c * plane + p])));
        }
        Layout::PlanarColumns => {
            let plane = w * h;
            let at = |y: usize, x: usize, c: usize| bytes[c * plane + x * h + y];
            for y in 0..h {
                image.extend((0..w).flat_map(|x| [0, 1, 2].map(|c| at(y, x, c))));
            }
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_become_pixels() {
        let bytes = [1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24];
        let rows = netpbm(&bytes, 2, 2, Layout::Planar);
        assert!(rows.ends_with(&[1, 11, 21, 2, 12, 22, 3, 13, 23, 4, 14, 24]));
        let columns = netpbm(&bytes, 2, 2, Layout::PlanarColumns);
        assert!(columns.ends_with(&[1, 11, 21, 3, 13, 23, 2, 12, 22, 4, 14, 24]));
        assert!(columns.starts_with(b"P6\n2 2\n255\n"));
    }

    #[test]
    fn a_sample_is_spread_evenly_and_reads_no_other_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = |n: usize| {
            let path = dir.path().join(n.to_string());
            FileItem::new(path, n.to_string(), Truth::Class(0))
        };
        let source = Source::files((0..10).map(file).collect());
        for (limit, wanted) in [
            (1, vec!["0"]),
            (3, vec!["0", "3", "6"]),
            (4, vec!["0", "2", "5", "7"]),
            (10, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"].to_vec()),
        ] {
            for key in &wanted {
                std::fs::write(dir.path().join(key), key).unwrap();
            }
            let keys: Vec<String> =
                source.sampled(limit, 10).map(|item| item.unwrap().key).collect();
            assert_eq!(keys, wanted);
        }
    }
}
