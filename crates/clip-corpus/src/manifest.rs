//! The manifest of a stage: one JSON line for every part that was committed.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, IoContext, Result};

/// Rows in, rows out, and why the others were dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows that came in.
    pub rows_in: u64,
    /// Rows that continue.
    pub rows_out: u64,
    /// Rows that were dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Different URLs that were asked for the rows of each part of a fetch: each once for all its
    /// rows.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub urls: u64,
    /// Rows that continue with a mark, which would be dropped if the stage were set to drop.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub flagged: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Counts {
    /// Rows that were dropped, for any reason.
    pub fn rejected(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Adds another part's counts.
    pub fn add(&mut self, other: &Counts) {
        self.rows_in += other.rows_in;
        self.rows_out += other.rows_out;
        self.urls += other.urls;
        self.flagged += other.flagged;
        for (reason, count) in &other.dropped {
            *self.dropped.entry(reason.clone()).or_default() += count;
        }
    }
}

/// A file of a committed part. In the manifest it is `[name, blake3, bytes]`.
///
/// One that is not below the stage's folder, or whose hash is none, does not parse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(String, String, u64)", into = "(String, String, u64)")]
pub struct PartFile {
    /// Its name, relative to the stage's folder.
    pub name: String,
    /// blake3 of its content, as 64 hex digits.
    pub blake3: String,
    /// Its length.
    pub bytes: u64,
}

impl TryFrom<(String, String, u64)> for PartFile {
    type Error = String;

    fn try_from((name, blake3, bytes): (String, String, u64)) -> std::result::Result<Self, String> {
        crate::check_name(&name).map_err(|e| e.to_string())?;
        if blake3.len() != 64 || !blake3.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("{blake3:?} is not a blake3 hash"));
        }
        Ok(Self { name, blake3, bytes })
    }
}

impl From<PartFile> for (String, String, u64) {
    fn from(file: PartFile) -> Self {
        (file.name, file.blake3, file.bytes)
    }
}

impl PartFile {
    /// Hashes a file of `folder`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn hash(folder: &Path, name: &str) -> Result<Self> {
        let (blake3, bytes) = crate::hash_file(&folder.join(name))?;
        Ok(Self { name: name.to_owned(), blake3, bytes })
    }
}

/// One committed part: its files and what happened in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// Number of the part.
    pub part: usize,
    /// Its files.
    pub files: Vec<PartFile>,
    /// What happened to its rows.
    #[serde(flatten)]
    pub counts: Counts,
    /// Wall time spent, in seconds.
    pub seconds: f64,
}

impl Commit {
    /// The file of that name, if the part has one.
    pub fn file(&self, name: &str) -> Option<&PartFile> {
        self.files.iter().find(|file| file.name == name)
    }
}

/// The list of committed parts of one stage. A part without its line does not exist.
#[derive(Debug)]
pub struct Manifest {
    path: PathBuf,
    commits: BTreeMap<usize, Commit>,
}

impl Manifest {
    /// Name of the file in a stage's folder.
    pub const FILE: &'static str = "manifest.jsonl";

    /// Reads the manifest of a stage's folder; an absent one is empty.
    ///
    /// A last line without its end is skipped: its part is not committed, or not yet. Any other
    /// line that does not parse is damage.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(Self::FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(e).at(&path),
        };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut commits = BTreeMap::new();
        for (index, line) in text[..whole].lines().enumerate() {
            let commit: Commit = serde_json::from_str(line).map_err(|source| Error::Manifest {
                path: path.clone(),
                line: index + 1,
                source,
            })?;
            commits.insert(commit.part, commit);
        }
        Ok(Self { path, commits })
    }

    /// Appends a part's line and syncs it; a later line for the same part replaces the earlier.
    pub fn commit(&mut self, commit: Commit) -> Result<()> {
        self.extend(vec![commit])
    }

    /// Appends the lines of many parts at once.
    pub fn extend(&mut self, commits: Vec<Commit>) -> Result<()> {
        let mut lines = String::new();
        for (at, commit) in commits.iter().enumerate() {
            lines.push_str(&serde_json::to_string(commit).map_err(|source| Error::Manifest {
                path: self.path.clone(),
                line: self.commits.len() + at + 1,
                source,
            })?);
            lines.push('\n');
        }
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).at(folder)?;
        }
        let mut options = OpenOptions::new();
        let mut file =
            options.create(true).read(true).append(true).open(&self.path).at(&self.path)?;
        // Other processes append to the same file: only the one with the lock writes.
        file.lock().at(&self.path)?;
        cut_torn_line(&mut file).at(&self.path)?;
        file.write_all(lines.as_bytes()).at(&self.path)?;
        file.sync_data().at(&self.path)?;
        self.commits.extend(commits.into_iter().map(|commit| (commit.part, commit)));
        Ok(())
    }

    /// The line of a part, if it was committed.
    pub fn get(&self, part: usize) -> Option<&Commit> {
        self.commits.get(&part)
    }

    /// All committed parts, by number.
    pub fn commits(&self) -> impl Iterator<Item = &Commit> {
        self.commits.values()
    }

    /// The sum over all parts.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        self.commits().for_each(|commit| sum.add(&commit.counts));
        sum
    }
}

/// Removes a last line that a crash cut off, so that the next one is a line of its own.
fn cut_torn_line(file: &mut File) -> std::io::Result<()> {
    let length = file.metadata()?.len();
    let Some(last) = length.checked_sub(1) else { return Ok(()) };
    let mut end = [0];
    file.seek(SeekFrom::Start(last))?;
    file.read_exact(&mut end)?;
    if end == *b"\n" {
        return Ok(());
    }
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut text)?;
    let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    file.set_len(whole as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(part: usize) -> Commit {
        let counts = Counts {
            rows_in: 5,
            rows_out: 4,
            dropped: [("tiny".into(), 1)].into(),
            urls: 2,
            flagged: 1,
        };
        let file = PartFile { name: "a".into(), blake3: "0a".repeat(32), bytes: 3 };
        Commit { part, files: vec![file], counts, seconds: 0.5 }
    }

    #[test]
    fn a_manifest_cut_at_any_byte_replays_to_a_prefix() {
        let folder = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::open(folder.path()).unwrap();
        (0..3).for_each(|part| manifest.commit(commit(part)).unwrap());
        let path = folder.path().join(Manifest::FILE);
        let whole = std::fs::read(&path).unwrap();
        let line = whole.len() / 3;
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut again = Manifest::open(folder.path()).unwrap();
            assert_eq!(again.commits().count(), cut / line, "cut at {cut}");
            again.commit(commit(7)).unwrap();
            assert!(Manifest::open(folder.path()).unwrap().get(7).is_some());
        }
    }

    #[test]
    fn a_line_names_files_of_its_stage_only() {
        let line = |name: &str, hash: &str| {
            let counts = serde_json::json!(Counts::default());
            let mut line = serde_json::json!({"part": 0, "files": [[name, hash, 3]], "seconds": 0});
            line.as_object_mut().unwrap().extend(counts.as_object().unwrap().clone());
            serde_json::from_value::<Commit>(line)
        };
        let hash = "0a".repeat(32);
        assert!(line("images/part-00000.parquet", &hash).is_ok());
        for (name, hash) in [("../x", &*hash), ("/etc/cron.d/x", &hash), ("a", "00"), ("a", "é")] {
            let message = line(name, hash).unwrap_err().to_string();
            assert!(message.contains("not a"), "{message}");
        }
    }

    #[test]
    fn counts_add_up_by_reason() {
        let folder = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::open(folder.path()).unwrap();
        (0..2).for_each(|part| manifest.commit(commit(part)).unwrap());
        assert_eq!(manifest.counts().dropped["tiny"], 2);
        assert_eq!(manifest.counts().rows_in, 10);
    }
}
