//! A corpus, whatever it is stored in, as a stream of images: shards, tables, lists with hashes,
//! folders.

mod folder;
mod list;
mod table;

use std::path::{Path, PathBuf};

use clip_corpus::{Sample, ShardReader};
use clip_pipeline::RunLayout;

use crate::{Error, Result};

/// One image of a corpus.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CorpusRow {
    /// Its name in its file: a sample's key, a row's number or key, a path.
    pub id: String,
    /// Its encoded bytes, where the corpus has them.
    pub image: Option<Vec<u8>>,
    /// Hashes of its file that the corpus states, in lower-case hex: blake3 or SHA-256.
    pub files: Vec<String>,
    /// Its pHash as the corpus states it, imagededup's bits.
    pub phash: Option<u64>,
    /// Where it came from.
    pub url: String,
    /// Its caption.
    pub caption: String,
}

/// A piece of a corpus that is checked, and kept, as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// How it is called in reports.
    pub place: String,
    /// Its files; all of them decide whether it changed.
    pub files: Vec<PathBuf>,
    kind: UnitKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnitKind {
    Shard,
    Table,
    Text,
    Folder,
}

/// The column that img2dataset and `clip-data fetch` write into their tables.
const STATUS: &str = "status";

/// Whether a row of a table with this status is in the corpus: what was not fetched, or not stored,
/// is no pair of it.
fn is_stored(status: Option<&str>) -> bool {
    !status.is_some_and(|status| status.starts_with("failed_"))
}

/// Called with each image; it says whether to continue.
pub type Visit<'a> = dyn FnMut(CorpusRow) -> Result<bool> + 'a;

/// The units of a corpus, in order.
///
/// A specification is a `.tar` shard, a `.parquet`, `.csv`, `.tsv` or `.jsonl` list (braces, globs
/// and `::` unions as WebDataset has them), a folder of those, the folder of a build, or a folder
/// of images.
///
/// # Errors
/// When it names nothing.
pub fn units(spec: &str) -> Result<Vec<Unit>> {
    let path = Path::new(spec);
    if path.is_dir() {
        // A build's folder has its shards inside.
        let run = RunLayout::new(path);
        let shards = run.shards();
        let inner = if run.is_run() && shards.is_dir() { &shards } else { path };
        return folder::units(inner);
    }
    clip_corpus::expand(spec)?.into_iter().map(|file| unit_of_file(&file)).collect()
}

fn unit_of_file(file: &Path) -> Result<Unit> {
    if !file.is_file() {
        return Err(Error::file(file, "no such file or folder"));
    }
    let kind = kind_of(file).ok_or_else(|| {
        let known = ".tar, .parquet, .csv, .tsv, .jsonl, or a folder";
        Error::file(file, format!("no corpus\nhint: known are {known}"))
    })?;
    Ok(Unit { place: file.display().to_string(), files: vec![file.to_path_buf()], kind })
}

fn kind_of(file: &Path) -> Option<UnitKind> {
    match extension(file).as_str() {
        "tar" => Some(UnitKind::Shard),
        "parquet" => Some(UnitKind::Table),
        "csv" | "tsv" | "jsonl" => Some(UnitKind::Text),
        _ => None,
    }
}

fn extension(file: &Path) -> String {
    file.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

impl Unit {
    /// Hash of its files' names, sizes and times of change: another one means that it must be read
    /// again.
    pub fn state(&self) -> Result<String> {
        Ok(clip_corpus::file_state(self.files.iter().map(PathBuf::as_path))?)
    }

    /// The file of a shard.
    pub fn shard(&self) -> Option<&Path> {
        self.files.first().filter(|_| self.kind == UnitKind::Shard).map(PathBuf::as_path)
    }

    /// Reads it through, one image in memory.
    pub fn each(&self, visit: &mut Visit) -> Result<()> {
        match self.kind {
            UnitKind::Shard => each_file(&self.files, visit, shard),
            UnitKind::Table => each_file(&self.files, visit, table::each),
            UnitKind::Text => each_file(&self.files, visit, list::each),
            UnitKind::Folder => {
                let root = Path::new(&self.place);
                each_file(&self.files, visit, |file, visit| folder::each(root, file, visit))
            }
        }
    }
}

fn each_file(
    files: &[PathBuf],
    visit: &mut Visit,
    read: impl Fn(&Path, &mut Visit) -> Result<bool>,
) -> Result<()> {
    for file in files {
        if !read(file, visit)? {
            break;
        }
    }
    Ok(())
}

fn shard(path: &Path, visit: &mut Visit) -> Result<bool> {
    for sample in ShardReader::open(path)? {
        if let Some(row) = row_of(sample?)
            && !visit(row)?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

fn row_of(mut sample: Sample) -> Option<CorpusRow> {
    let name = sample.image()?.0.to_owned();
    let at = sample.fields.iter().position(|(field, _)| *field == name)?;
    let image = std::mem::take(&mut sample.fields[at].1);
    let json = sample.get("json").and_then(|json| clip_corpus::json::from_slice(json).ok());
    let meta = |key: &str| json.as_ref().and_then(|json: &serde_json::Value| json[key].as_str());
    let text = ["txt", "caption"].iter().find_map(|field| sample.get(field));
    let text = text.map(|text| String::from_utf8_lossy(text).trim().to_owned());
    let caption = text.unwrap_or_else(|| meta("caption").unwrap_or_default().to_owned());
    let url = meta("url").unwrap_or_default().to_owned();
    let files =
        ["blake3", "sha256"].iter().filter_map(|key| meta(key)).map(str::to_lowercase).collect();
    Some(CorpusRow { id: sample.key, image: Some(image), files, phash: None, url, caption })
}

#[cfg(test)]
mod tests;
