//! What a file is, by its first bytes and its name, for messages about one that is given in
//! another's place.

use std::fmt;
use std::path::Path;

/// First bytes of kinds of files, and what those are called.
const MAGIC: [(&[u8], FileKind); 13] = [
    (b"PK\x03\x04", FileKind::Archive("a zip archive")),
    (b"PAR1", FileKind::Parquet),
    (b"\xfd7zXZ\0", FileKind::Archive("an xz archive")),
    (b"\x28\xb5\x2f\xfd", FileKind::Archive("a zstd archive")),
    (b"BZh", FileKind::Archive("a bzip2 archive")),
    (b"\x89PNG", FileKind::Other("a PNG image")),
    (b"\xff\xd8\xff", FileKind::Other("a JPEG image")),
    (b"GIF8", FileKind::Other("a GIF image")),
    (b"\x89HDF", FileKind::Other("an HDF5 file")),
    (b"\x93NUMPY", FileKind::Other("a NumPy array")),
    (b"%PDF", FileKind::Other("a PDF file")),
    (b"ARROW1", FileKind::Other("an Arrow file")),
    (b"RIFF", FileKind::Other("a RIFF file (a WebP image, or sound)")),
];

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Lines or a table, by the ending of the name.
    List(&'static str),
    /// The same in gzip.
    PackedList(&'static str),
    /// A tar file in gzip.
    PackedTar,
    /// Another archive.
    Archive(&'static str),
    /// A Parquet file.
    Parquet,
    /// A JSON file.
    Json,
    /// A page of HTML or XML.
    Page,
    /// Other text.
    Text,
    /// Something else.
    Other(&'static str),
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::List(kind) => write!(f, "a {kind} list"),
            Self::PackedList(kind) => write!(f, "a {kind} list in gzip"),
            Self::PackedTar => f.write_str("a tar file in gzip"),
            Self::Archive(name) | Self::Other(name) => f.write_str(name),
            Self::Parquet => f.write_str("a Parquet file"),
            Self::Json => f.write_str("a JSON file"),
            Self::Page => f.write_str("a page of HTML or XML"),
            Self::Text => f.write_str("a text file"),
        }
    }
}

impl FileKind {
    /// By the first bytes, of text some hundred; none where these are of no known kind.
    pub fn of(path: &Path, first: &[u8]) -> Option<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let ends = |ending: &str| name.ends_with(ending);
        if first.starts_with(&[0x1f, 0x8b]) {
            let list = ["csv", "tsv", "txt", "json", "jsonl"].into_iter();
            return Some(match list.into_iter().find(|kind| ends(&format!(".{kind}.gz"))) {
                Some(kind) => Self::PackedList(kind),
                None if ends(".tar.gz") || ends(".tgz") => Self::PackedTar,
                None => Self::Archive("a gzip archive"),
            });
        }
        if let Some((_, kind)) = MAGIC.into_iter().find(|(magic, _)| first.starts_with(magic)) {
            return Some(kind);
        }
        if !is_text(first) {
            return None;
        }
        let start = String::from_utf8_lossy(first);
        let start = start.trim_start_matches('\u{feff}').trim_start();
        let mut lists = ["csv", "tsv", "jsonl", "txt"].into_iter();
        Some(match lists.find(|kind| ends(&format!(".{kind}"))) {
            Some(kind) => Self::List(kind),
            None if start.starts_with(['{', '[']) => Self::Json,
            None if start.starts_with('<') => Self::Page,
            None => Self::Text,
        })
    }

    /// Whether its lines can be read.
    pub fn is_text(self) -> bool {
        matches!(self, Self::List(_) | Self::Json | Self::Page | Self::Text)
    }
}

/// A tar header has zeros between its fields; no text has any.
fn is_text(bytes: &[u8]) -> bool {
    let control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c);
    !bytes.is_empty() && !bytes.iter().any(control)
}
