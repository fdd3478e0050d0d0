//! Which files a list is made of, and what they are.

use std::path::{Path, PathBuf};

use clip_pipeline::{Error, Result};

/// img2dataset's list formats; each of the text ones may be compressed with gzip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// A URL a line.
    Txt,
    /// Commas, with a header.
    Csv,
    /// Tabs, with a header.
    Tsv,
    /// One JSON value: an object of columns, as pandas writes it, or an array of rows.
    Json,
    /// A JSON object a line.
    Jsonl,
    /// Parquet.
    Parquet,
}

const FORMATS: [(&str, Format); 6] = [
    ("txt", Format::Txt),
    ("csv", Format::Csv),
    ("tsv", Format::Tsv),
    ("jsonl", Format::Jsonl),
    ("json", Format::Json),
    ("parquet", Format::Parquet),
];

/// The message for an unknown format.
pub(crate) const HINT: &str = "hint: txt, csv, tsv, json, jsonl (each also with .gz), parquet";

impl Format {
    /// By img2dataset's name: `csv`, `csv.gz` and so on.
    pub fn named(name: &str) -> Option<Self> {
        let plain = name.strip_suffix(".gz").unwrap_or(name);
        let (_, format) = FORMATS.into_iter().find(|(known, _)| *known == plain)?;
        (format != Format::Parquet || plain == name).then_some(format)
    }

    pub fn of(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let name = name.split(['?', '#']).next().unwrap_or_default();
        let stem = name.strip_suffix(".gz").unwrap_or(name);
        let (_, extension) = stem.rsplit_once('.')?;
        FORMATS.into_iter().find(|(known, _)| *known == extension).map(|(_, format)| format)
    }
}

/// A file of a list: its path or URL, and its format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListFile {
    pub path: PathBuf,
    pub format: Format,
}

impl ListFile {
    /// Its rows, where it says how many they are: a Parquet file here does. A file that cannot be
    /// read is left to what reads it.
    pub fn rows(&self) -> Option<u64> {
        let here =
            self.format == Format::Parquet && !clip_store::is_remote(&self.path.to_string_lossy());
        here.then(|| clip_corpus::ParquetFile::open(&self.path).ok().map(|file| file.rows()))?
    }
}

/// The files that `path` names: a folder means its lists, sorted, a pattern what it matches.
/// `format`, by img2dataset's name, says what they are; without it their names do.
pub(crate) fn find(path: &Path, format: Option<&str>) -> Result<Vec<ListFile>> {
    let named =
        match format {
            None => None,
            Some(name) => Some(Format::named(name).ok_or_else(|| {
                Error::Config(format!("there is no list format {name:?}\n{HINT}"))
            })?),
        };
    let text = path.to_string_lossy();
    let paths: Vec<PathBuf> = if clip_store::is_remote(&text) {
        vec![path.to_path_buf()]
    } else if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|e| Error::io(path, e))?;
        let files = entries.filter_map(|e| Some(e.ok()?.path())).filter(|path| path.is_file());
        let wanted = |file: &PathBuf| {
            let name = file.to_string_lossy().to_lowercase();
            match format {
                Some(format) => name.ends_with(&format!(".{format}")),
                None => Format::of(&name).is_some(),
            }
        };
        files.filter(wanted).collect()
    } else if path.exists() {
        vec![path.to_path_buf()]
    } else if text.contains(['*', '?', '[']) {
        let found = glob::glob(&text).map_err(|e| Error::Config(format!("{text}: {e}")))?;
        found.filter_map(std::result::Result::ok).collect()
    } else {
        let hint = "hint: a file, a folder, a pattern or a URL";
        return Err(Error::Config(format!("{text}: no such file or folder\n{hint}")));
    };
    let file = |path: PathBuf| {
        let format = named.or_else(|| Format::of(&path.to_string_lossy()));
        // A name without an ending, and a URL, which may end in anything, are URLs a line.
        let bare = || path.extension().is_none() || clip_store::is_remote(&path.to_string_lossy());
        match format.or_else(|| bare().then_some(Format::Txt)) {
            Some(format) => Ok(ListFile { path, format }),
            None => {
                let path = path.display();
                Err(Error::Config(format!(
                    "{path}: no list by its name\n{HINT}; `format`, of fetch `--input_format`, says it"
                )))
            }
        }
    };
    let mut files: Vec<ListFile> = paths.into_iter().map(file).collect::<Result<_>>()?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    if files.is_empty() {
        return Err(Error::Config(format!("{text}: no list here\n{HINT}")));
    }
    Ok(files)
}
