//! The files that a card is made from, and their hashes.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use clip_corpus::hash_file;
use serde::{Deserialize, Serialize};

/// A file as a card knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHash {
    /// Its path from the card's folder on.
    pub path: String,
    /// blake3 of its content, as hex.
    pub blake3: String,
    /// Its length.
    pub bytes: u64,
}

impl FileHash {
    /// Of what is written under that name.
    pub fn of_bytes(name: &str, bytes: &[u8]) -> Self {
        let blake3 = blake3::hash(bytes).to_hex().to_string();
        Self { path: name.to_owned(), blake3, bytes: bytes.len() as u64 }
    }
}

/// Collects files while their content is read.
pub struct Files {
    folder: PathBuf,
    found: BTreeMap<String, FileHash>,
}

impl Files {
    /// For a card in that folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf(), found: BTreeMap::new() }
    }

    /// Adds a file with the hash that it has now.
    pub fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let (blake3, bytes) = hash_file(path)?;
        self.add_known(path, &blake3, bytes)
    }

    /// Adds a file with the hash that it was written with.
    pub fn add_known(&mut self, path: &Path, blake3: &str, bytes: u64) -> anyhow::Result<()> {
        let path = relative(&self.folder, path)?;
        let file = FileHash { path: path.clone(), blake3: blake3.to_owned(), bytes };
        self.found.insert(path, file);
        Ok(())
    }

    /// Reads a small file, which is added.
    pub fn text(&mut self, path: &Path) -> anyhow::Result<String> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        self.add_known(path, blake3::hash(text.as_bytes()).to_hex().as_str(), text.len() as u64)?;
        Ok(text)
    }

    /// All files, by path.
    pub fn into_hashes(self) -> Vec<FileHash> {
        self.found.into_values().collect()
    }
}

/// The path of a file from a folder on, with `..` for what is not below it.
pub fn relative(folder: &Path, path: &Path) -> anyhow::Result<String> {
    let absolute = |path: &Path| {
        // Links to the newest stage keep their own name.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new(".")).canonicalize();
        let parent = parent.with_context(|| path.display().to_string())?;
        anyhow::Ok(path.file_name().map_or(parent.clone(), |name| parent.join(name)))
    };
    let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
    let path = absolute(path)?;
    let (mut from, mut to) = (folder.components().peekable(), path.components().peekable());
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    let up = from.map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(to).collect();
    if path.as_os_str().is_empty() {
        return Ok(".".into());
    }
    Ok(path.to_string_lossy().into_owned())
}

/// A path for people: without the folders that it goes into and leaves again.
pub fn shown(path: &Path) -> String {
    let mut short = PathBuf::new();
    for part in path.components() {
        let leaves = part == Component::ParentDir;
        let inside = matches!(short.components().next_back(), Some(Component::Normal(_)));
        if !(leaves && inside && short.pop()) {
            short.push(part);
        }
    }
    short.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_without_detours() {
        for (path, short) in
            [("no/../a.json", "a.json"), ("../a/b/../../c", "../c"), ("/a/../b", "/b")]
        {
            assert_eq!(shown(Path::new(path)), short);
        }
    }

    #[test]
    fn paths_begin_in_the_cards_folder() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("runs/a")).unwrap();
        std::fs::create_dir_all(at("cards")).unwrap();
        let from = |from: &str, to: &str| relative(&at(from), &at(to)).unwrap();
        assert_eq!(from("cards", "runs/a/run.json"), "../runs/a/run.json");
        assert_eq!(from("runs/a", "runs/a/run.json"), "run.json");
        assert_eq!(from("runs/a", "runs/a"), ".");
        assert_eq!(from("runs/a", "runs"), "..");
        assert!(relative(&at("cards"), &at("none/a")).is_err());
    }
}
