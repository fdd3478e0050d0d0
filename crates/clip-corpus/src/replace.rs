//! Files of a folder that are replaced together.

use std::path::{Path, PathBuf};

use clip_format::write_atomic;

use crate::{Error, IoContext, Result, below};

/// Where the new files wait, in the folder of those that they replace.
const STAGED: &str = ".replacement";
/// The list of them, written when all are whole.
const READY: &str = "ready.json";

/// New content for files of a folder: it takes their names all at once.
///
/// A process that is killed before [`Replacement::commit`] has listed the files leaves the old
/// ones; one that is killed later leaves some old and some new, and the next
/// [`Replacement::begin`] or [`Replacement::recover`] brings the rest.
#[derive(Debug)]
pub struct Replacement {
    folder: PathBuf,
    names: Vec<String>,
}

impl Replacement {
    /// Begins, after what another process left was finished or dropped.
    ///
    /// # Errors
    /// When the system refuses, or the list that was left is damaged.
    pub fn begin(folder: &Path) -> Result<Self> {
        Self::recover(folder)?;
        Ok(Self { folder: folder.to_path_buf(), names: Vec::new() })
    }

    /// Finishes what a killed process had listed, or drops what it had not. Returns whether files
    /// were replaced.
    ///
    /// # Errors
    /// As [`Replacement::begin`].
    pub fn recover(folder: &Path) -> Result<bool> {
        let staged = folder.join(STAGED);
        let ready = staged.join(READY);
        let names: Vec<String> = match std::fs::read(&ready) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| Error::Damaged { path: ready, reason: e.to_string() })?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return remove(&staged).map(|()| false);
            }
            Err(e) => return Err(e).at(&ready),
        };
        finish(folder, &names)?;
        Ok(true)
    }

    /// Where to write the new content of a file.
    ///
    /// # Errors
    /// When the name is none of a file in the folder.
    pub fn stage(&mut self, name: &str) -> Result<PathBuf> {
        let path = staged_path(&self.folder, name)?;
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).at(parent)?;
        }
        self.names.push(name.to_owned());
        Ok(path)
    }

    /// Where a staged file is.
    ///
    /// # Errors
    /// As [`Replacement::stage`].
    pub fn staged(&self, name: &str) -> Result<PathBuf> {
        staged_path(&self.folder, name)
    }

    /// Whether nothing is replaced.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Replaces the files.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn commit(self) -> Result<()> {
        if self.names.is_empty() {
            return Ok(());
        }
        let list = serde_json::json!(self.names).to_string();
        write_atomic(&self.folder.join(STAGED).join(READY), list.as_bytes())?;
        finish(&self.folder, &self.names)
    }
}

fn staged_path(folder: &Path, name: &str) -> Result<PathBuf> {
    let staged = folder.join(STAGED);
    below(&staged, name).map_err(|e| Error::Damaged { path: staged, reason: e.to_string() })
}

fn finish(folder: &Path, names: &[String]) -> Result<()> {
    let mut folders = std::collections::BTreeSet::new();
    for name in names {
        let (from, to) = (staged_path(folder, name)?, folder.join(name));
        match std::fs::rename(&from, &to) {
            // It has its name already.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            moved => moved.at(&to)?,
        }
        folders.extend(to.parent().map(Path::to_path_buf));
    }
    for folder in folders {
        std::fs::File::open(&folder).and_then(|folder| folder.sync_all()).at(&folder)?;
    }
    remove(&folder.join(STAGED))
}

fn remove(staged: &Path) -> Result<()> {
    // The list goes first: without it the rest is dropped.
    for gone in [std::fs::remove_file(staged.join(READY)), std::fs::remove_dir_all(staged)] {
        match gone {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e).at(staged),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn killed_anywhere_all_files_are_old_or_after_the_next_call_new() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
        std::fs::create_dir(dir.join("sub")).unwrap();
        let old = || {
            std::fs::write(dir.join("a"), "old").unwrap();
            std::fs::write(dir.join("sub/b"), "old").unwrap();
        };
        let stage = || {
            let mut replacement = Replacement::begin(dir).unwrap();
            for name in ["a", "sub/b"] {
                std::fs::write(replacement.stage(name).unwrap(), "new").unwrap();
            }
            replacement
        };
        old();
        drop(stage());
        assert!(!Replacement::recover(dir).unwrap());
        assert_eq!([read("a"), read("sub/b")], ["old", "old"]);
        for moved in 0..=2 {
            old();
            let replacement = stage();
            let list = serde_json::json!(replacement.names).to_string();
            std::fs::write(dir.join(STAGED).join(READY), list).unwrap();
            for name in &replacement.names[..moved] {
                std::fs::rename(dir.join(STAGED).join(name), dir.join(name)).unwrap();
            }
            assert!(Replacement::recover(dir).unwrap(), "{moved}");
            assert_eq!([read("a"), read("sub/b")], ["new", "new"], "{moved}");
            assert!(!dir.join(STAGED).exists());
        }
        old();
        stage().commit().unwrap();
        assert_eq!([read("a"), read("sub/b")], ["new", "new"]);
        assert!(!dir.join(STAGED).exists());
        std::fs::create_dir(dir.join(STAGED)).unwrap();
        std::fs::write(dir.join(STAGED).join(READY), r#"["../x"]"#).unwrap();
        assert!(Replacement::recover(dir).unwrap_err().is_damage());
        assert!(Replacement::begin(dir).is_err());
    }
}
